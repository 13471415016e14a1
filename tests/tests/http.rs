//! The HTTP interface as processes serve it: who is believed, who sees what, what is answered, and
//! that all of it is what the OpenAPI document says.

mod http {
    pub(crate) mod administration;
    pub(crate) mod contract;
    pub(crate) mod fuzzed;
    pub(crate) mod keys;
    pub(crate) mod life;
    pub(crate) mod limits;
    pub(crate) mod served;
    pub(crate) mod tokens;
}
