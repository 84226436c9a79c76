//! An errno, with what its reader can do about it.

use anyhow::Result;
use nix::errno::Errno;
use std::borrow::Cow;
use std::fmt;
use std::io;

/// The errno of a system call, and a cure: "EPERM: Operation not permitted (run it with sudo)".
///
/// It stands at the bottom of an error. What was attempted, and on what, comes as context on top.
#[derive(Debug)]
pub struct Advised {
    /// What the kernel said.
    pub errno: Errno,
    advice: Cow<'static, str>,
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.advice {
            "" => write!(f, "{}", self.errno),
            advice => write!(f, "{} ({advice})", self.errno),
        }
    }
}

impl std::error::Error for Advised {}

/// Gives a failed system call an advice.
pub trait Advise<T> {
    /// The same, with what `advice` has for the errno: one clause, without the brackets, and ""
    /// where nobody can do anything.
    ///
    /// # Errors
    /// An [`Advised`]; or the error as it is, if it is std's own and has no errno.
    fn advise<Text: Into<Cow<'static, str>>>(self, advice: impl FnOnce(Errno) -> Text)
    -> Result<T>;
}

impl<T> Advise<T> for nix::Result<T> {
    fn advise<Text: Into<Cow<'static, str>>>(
        self,
        advice: impl FnOnce(Errno) -> Text,
    ) -> Result<T> {
        self.map_err(|errno| Advised { errno, advice: advice(errno).into() }.into())
    }
}

impl<T> Advise<T> for io::Result<T> {
    fn advise<Text: Into<Cow<'static, str>>>(
        self,
        advice: impl FnOnce(Errno) -> Text,
    ) -> Result<T> {
        self.or_else(|error| match error.raw_os_error() {
            Some(errno) => Err(Errno::from_raw(errno)).advise(advice),
            None => Err(error.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command_line::{errno_in, one_line};
    use anyhow::Context;

    fn cure(errno: Errno) -> &'static str {
        match errno {
            Errno::EPERM => "ask root",
            _ => "",
        }
    }

    #[test]
    fn the_advice_is_behind_the_errno_which_is_still_found() {
        let of_nix = Err::<(), _>(Errno::EPERM).advise(cure);
        let of_std = Err::<(), _>(io::Error::from_raw_os_error(libc::EPERM)).advise(cure);
        for failed in [of_nix, of_std] {
            let error = failed.context("cannot do it").unwrap_err();
            assert_eq!(one_line(&error), "cannot do it: EPERM: Operation not permitted (ask root)");
            assert_eq!(errno_in(&error), Some(Errno::EPERM));
        }
    }

    #[test]
    fn without_an_advice_there_are_no_brackets() {
        let error = Err::<(), _>(Errno::ENOENT).advise(cure).unwrap_err();
        assert_eq!(one_line(&error), "ENOENT: No such file or directory");
    }

    #[test]
    fn what_has_no_errno_says_what_it_is() {
        let error = Err::<(), _>(io::Error::other("too long")).advise(cure).unwrap_err();
        assert_eq!((one_line(&error).as_str(), errno_in(&error)), ("too long", None));
    }
}
