//! Who there is: base identities with long-term keys, roles they may assume, and running sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use s3s::auth::SecretKey;
use uuid::Uuid;

use super::clock::{locked, now};
use super::history::Caller;
use super::policy::{Asked, Policy, Verdict};

/// A long-term identity: an access key that may sign STS requests, and S3 requests if allowed to.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name by which roles trust it, for example `callferry`.
    pub name: String,
    /// Account it belongs to, 12 digits.
    pub account_id: String,
    /// Access key id.
    pub access_key_id: String,
    /// What it may do in S3 itself; usually nothing.
    pub permissions: Policy,
    secret: SecretKey,
}

/// A role that identities may assume.
#[derive(Clone, Debug)]
pub struct Role {
    /// For example `arn:aws:iam::111122223333:role/recordings`.
    pub arn: String,
    /// What its sessions may do at most.
    pub permissions: Policy,
    /// The external id `AssumeRole` must bring, if any.
    pub external_id: Option<String>,
    /// Whether any external id will do where one is required (`StringLike` with `*`).
    pub any_external_id: bool,
    /// Names of the identities that may assume it.
    pub trusts: Vec<String>,
    /// How long its sessions last at most.
    pub session_max: Duration,
}

impl Identity {
    /// An identity of account `000000000000` without S3 permissions, named like its access key.
    #[must_use]
    pub fn new(access_key_id: &str, secret_access_key: &str) -> Self {
        Self {
            name: access_key_id.to_owned(),
            account_id: "000000000000".to_owned(),
            access_key_id: access_key_id.to_owned(),
            permissions: Policy::none(),
            secret: SecretKey::from(secret_access_key),
        }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// The same with these permissions in S3.
    #[must_use]
    pub fn allowed(mut self, permissions: Policy) -> Self {
        self.permissions = permissions;
        self
    }
}

impl Role {
    /// A role without an external id that trusts nobody yet.
    #[must_use]
    pub fn new(arn: &str, permissions: Policy) -> Self {
        Self {
            arn: arn.to_owned(),
            permissions,
            external_id: None,
            any_external_id: false,
            trusts: Vec::new(),
            session_max: Duration::from_secs(3600),
        }
    }

    /// The same, requiring this external id.
    #[must_use]
    pub fn external_id(mut self, id: &str) -> Self {
        self.external_id = Some(id.to_owned());
        self
    }

    /// The same, also trusting the identity of this name.
    #[must_use]
    pub fn trusting(mut self, identity: &str) -> Self {
        self.trusts.push(identity.to_owned());
        self
    }

    /// The account the role belongs to: the fifth field of its ARN.
    #[must_use]
    pub fn account_id(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }
}

/// What `AssumeRole` asked for, already validated in form.
#[derive(Debug)]
pub(crate) struct Assumption {
    pub(crate) role_arn: String,
    pub(crate) session_name: String,
    pub(crate) external_id: Option<String>,
    pub(crate) lifetime: Duration,
    pub(crate) policy: Option<Policy>,
}

/// Temporary credentials as handed out.
pub(crate) struct Issued {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: String,
    pub(crate) expires: DateTime<Utc>,
}

/// A session as looked up by its access key.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) token: Arc<str>,
    pub(crate) expires: DateTime<Utc>,
    secret: SecretKey,
    role_arn: String,
    name: String,
    policy: Option<Arc<Policy>>,
}

/// Everybody.
#[derive(Default)]
pub(crate) struct Directory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    identities: BTreeMap<String, Identity>,
    roles: BTreeMap<String, Role>,
    sessions: BTreeMap<String, Session>,
    forced_lifetime: Option<Duration>,
}

impl Directory {
    pub(crate) fn put_identity(&self, identity: Identity) {
        let key = identity.access_key_id.clone();
        locked(&self.state).identities.insert(key, identity);
    }

    pub(crate) fn remove_identity(&self, access_key_id: &str) -> bool {
        let mut state = locked(&self.state);
        state.identities.remove(access_key_id).is_some()
    }

    pub(crate) fn put_role(&self, role: Role) {
        locked(&self.state).roles.insert(role.arn.clone(), role);
    }

    pub(crate) fn remove_role(&self, arn: &str) -> bool {
        locked(&self.state).roles.remove(arn).is_some()
    }

    pub(crate) fn change_role(&self, arn: &str, change: impl FnOnce(&mut Role)) -> bool {
        let mut state = locked(&self.state);
        let role = state.roles.get_mut(arn);
        role.map(change).is_some()
    }

    pub(crate) fn force_lifetime(&self, lifetime: Option<Duration>) {
        locked(&self.state).forced_lifetime = lifetime;
    }

    /// Ends every session now.
    pub(crate) fn expire_sessions(&self) {
        let at = now() - TimeDelta::milliseconds(1);
        for session in locked(&self.state).sessions.values_mut() {
            session.expires = session.expires.min(at);
        }
    }

    pub(crate) fn secret(&self, access_key_id: &str) -> Option<SecretKey> {
        let state = locked(&self.state);
        let identity = state.identities.get(access_key_id);
        let session = state.sessions.get(access_key_id);
        identity
            .map(|it| it.secret.clone())
            .or_else(|| session.map(|it| it.secret.clone()))
    }

    pub(crate) fn session(&self, access_key_id: &str) -> Option<Session> {
        locked(&self.state).sessions.get(access_key_id).cloned()
    }

    /// How long sessions of a role last at most, if there is such a role.
    pub(crate) fn session_max(&self, arn: &str) -> Option<Duration> {
        let state = locked(&self.state);
        state.roles.get(arn).map(|role| role.session_max)
    }

    /// What the history says about a request signed with this key.
    pub(crate) fn caller(&self, access_key_id: Option<String>) -> Caller {
        let state = locked(&self.state);
        let key = access_key_id.as_deref().unwrap_or_default();
        let session = state.sessions.get(key);
        Caller {
            identity: state.identities.get(key).map(|it| it.name.clone()),
            role_arn: session.map(|it| it.role_arn.clone()),
            session_name: session.map(|it| it.name.clone()),
            access_key_id,
        }
    }

    /// Whether the holder of this key may do it *now*: roles may have changed since the session
    /// began. A session needs both its role's permissions and its own policy to allow it.
    pub(crate) fn allows(&self, access_key_id: &str, asked: &Asked<'_>) -> bool {
        let state = locked(&self.state);
        let allowed = |policy: &Policy| policy.decide(asked) == Verdict::Allowed;
        if let Some(session) = state.sessions.get(access_key_id) {
            let role = state.roles.get(&session.role_arn);
            return role.is_some_and(|role| allowed(&role.permissions))
                && session.policy.as_ref().is_none_or(|policy| allowed(policy));
        }
        let identity = state.identities.get(access_key_id);
        identity.is_some_and(|identity| allowed(&identity.permissions))
    }

    /// Hands out a session; none when the role does not let this caller in. The reasons are not
    /// told apart, as AWS does not either.
    pub(crate) fn assume(&self, access_key_id: &str, wish: Assumption) -> Option<Issued> {
        let mut state = locked(&self.state);
        let name = state.identities.get(access_key_id)?.name.clone();
        let role = state.roles.get(&wish.role_arn)?;
        if !role.trusts.contains(&name) {
            return None;
        }
        let equal = role.external_id == wish.external_id;
        let like = role.any_external_id && wish.external_id.is_some();
        if role.external_id.is_some() && !equal && !like {
            return None;
        }
        let lifetime = state.forced_lifetime.unwrap_or(wish.lifetime);
        let issued = Issued {
            access_key_id: format!("ASIA{}", random(16).to_uppercase()),
            secret_access_key: random(40),
            session_token: random(128),
            expires: now() + TimeDelta::from_std(lifetime).unwrap_or_default(),
        };
        let session = Session {
            token: Arc::from(issued.session_token.as_str()),
            expires: issued.expires,
            secret: SecretKey::from(issued.secret_access_key.as_str()),
            role_arn: wish.role_arn,
            name: wish.session_name,
            policy: wish.policy.map(Arc::new),
        };
        state.sessions.insert(issued.access_key_id.clone(), session);
        Some(issued)
    }
}

/// Random hexadecimal digits.
fn random(digits: usize) -> String {
    let mut text = String::new();
    while text.len() < digits {
        text.push_str(&Uuid::new_v4().simple().to_string());
    }
    text.truncate(digits);
    text
}
