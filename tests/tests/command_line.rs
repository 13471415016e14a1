//! The command line against real servers: what an operator types, what a script reads, and how a
//! worker process begins and ends.

mod command_line {
    pub(crate) mod asking;
    pub(crate) mod azure;
    pub(crate) mod checking;
    pub(crate) mod isolated;
    pub(crate) mod keyring;
    pub(crate) mod operating;
    pub(crate) mod receipt;
    pub(crate) mod running;
}
