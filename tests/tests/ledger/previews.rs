//! What would go at the end of its retention, when, and what does not and why.

use catalog::HoldScope;
use recording::{Announced, Kind};

use super::retention::{hold, now, released, stamped_then};
use super::world::{World, announced, at};

#[tokio::test]
async fn a_preview_says_what_goes_when_and_what_does_not_and_why() {
    let world = World::settled().await;
    let account = "acme".parse().unwrap();
    let voice = Announced {
        kind: Kind::Voicemail,
        interaction_id: "call-2".parse().unwrap(),
        ..announced("rec-2")
    };
    released(&world, &announced("rec-1")).await;
    released(&world, &voice).await;
    world.stored(&announced("rec-3")).await;
    stamped_then(&world, &announced("rec-3").key).await;
    let denied = released(&world, &announced("rec-4")).await;
    world
        .force(
            &denied,
            "expiry_outcome = 'denied', expiry_detail = 'delete: 403'",
        )
        .await;
    let id = hold(&world, HoldScope::Interaction("call-2".parse().unwrap())).await;
    let preview = world.catalog.preview_retention(&account, now()).await;
    let preview = preview.unwrap();
    assert_eq!((preview.would_go, preview.held_back), (1, 3));
    assert_eq!(preview.would_go_bytes, 480_044);
    let days: Vec<_> = preview
        .days
        .iter()
        .map(|day| {
            (
                day.kind,
                day.recordings,
                day.held,
                day.retained_by_customer,
                day.not_released,
            )
        })
        .collect();
    assert_eq!(
        days,
        [(Kind::Call, 3, 0, 1, 1), (Kind::Voicemail, 1, 1, 0, 0)]
    );
    assert_eq!(preview.days[0].day, "2024-10-28");
    assert_eq!(
        (preview.holds[0].hold_id, preview.holds[0].recordings),
        (id, 1)
    );
    assert_eq!(preview.kept[0].detail.as_deref(), Some("delete: 403"));
    let early = at("2024-10-01T00:00:00Z");
    let early = world
        .catalog
        .preview_retention(&account, early)
        .await
        .unwrap();
    assert_eq!((early.would_go, early.days.len()), (0, 0));
}
