//! Pages as S3 and others write them, and pages that must not be believed.

use super::*;

fn page(inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Bucket>b</Bucket><KeyMarker/>{inner}</ListMultipartUploadsResult>"
    )
}

fn upload(key: &str, id: &str) -> String {
    format!(
        "<Upload><Key>{key}</Key><UploadId>{id}</UploadId>\
         <Initiator><ID>i</ID><DisplayName>d</DisplayName></Initiator>\
         <Owner><ID>o</ID></Owner><StorageClass>STANDARD</StorageClass>\
         <Initiated>2026-11-22T10:00:05.000Z</Initiated></Upload>"
    )
}

fn read(inner: &str) -> Result<(Vec<OpenUpload>, Option<Marker>), Fault> {
    understood(page(inner).as_bytes(), "acme/", None)
}

#[test]
fn uploads_are_read_with_their_keys_as_they_are() {
    let two = format!(
        "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{}{}",
        upload("acme/a+b%2Bc%01.wav", "VXBsb2FkIElE.x-_~"),
        upload("acme/b", "2"),
    );
    let (uploads, next) = read(&two).unwrap();
    assert_eq!(next, None);
    assert_eq!(uploads[0].key.as_str(), "acme/a b+c\u{1}.wav");
    assert_eq!(uploads[0].upload_id, "VXBsb2FkIElE.x-_~");
    assert_eq!(
        uploads[0].begun_at.to_rfc3339(),
        "2026-11-22T10:00:05+00:00"
    );
    assert_eq!(uploads[1].upload_id, "2");
    // A store that does not escape.
    let plain = format!(
        "<IsTruncated>false</IsTruncated>{}",
        upload("acme/a+b", "1")
    );
    assert_eq!(read(&plain).unwrap().0[0].key.as_str(), "acme/a+b");
    let none = "<Prefix>acme/</Prefix><IsTruncated>false</IsTruncated>";
    assert_eq!(read(none), Ok((Vec::new(), None)));
}

#[test]
fn a_page_says_where_the_next_one_begins() {
    let first = format!(
        "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
         <NextKeyMarker>acme/a+b</NextKeyMarker><NextUploadIdMarker>7</NextUploadIdMarker>{}",
        upload("acme/a+b", "7"),
    );
    let (_, next) = read(&first).unwrap();
    let next = next.unwrap();
    assert!(query("acme/", Some(&next)).contains("&key-marker=acme%2Fa%20b&upload-id-marker=7"));
    let again = understood(page(&first).as_bytes(), "acme/", Some(&next));
    assert!(again.is_err(), "the same page for ever");
}

#[test]
fn what_cannot_be_believed_is_an_error_and_never_none() {
    let ended = "<IsTruncated>false</IsTruncated>";
    let more = "<IsTruncated>true</IsTruncated>";
    let one = upload("acme/a", "1");
    let bad = [
        String::new(),
        one.clone(),
        format!("<IsTruncated>perhaps</IsTruncated>{one}"),
        format!("{more}{one}"),
        format!("{more}<NextKeyMarker>acme/a</NextKeyMarker>"),
        format!("{ended}{}", upload("beta/a", "1")),
        format!("{ended}{}", upload("acme/a", "")),
        format!("{ended}{}", upload("acme/a", "1 2")),
        format!("{ended}<Upload><Key>acme/a</Key><UploadId>1</UploadId></Upload>"),
        format!("<EncodingType>rot13</EncodingType>{ended}{one}"),
        format!(
            "<EncodingType>url</EncodingType>{ended}{}",
            upload("acme/%ff", "1")
        ),
    ];
    for inner in &bad {
        let fault = read(inner).unwrap_err();
        assert_eq!(fault.reason, ParkReason::OutcomeUnknown, "{inner}");
    }
    let whole = page(&format!("{ended}{one}"));
    for cut in [0, 10, whole.len() / 2, whole.len() - 3] {
        assert!(understood(&whole.as_bytes()[..cut], "acme/", None).is_err());
    }
    let other = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    assert!(understood(other, "acme/", None).is_err());
}
