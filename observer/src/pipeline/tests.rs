//! Records in, numbers out, with names that come at once, late, or not at all.

use super::*;
