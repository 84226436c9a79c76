//! How much has come, and how much is still to come.

use indicatif::{DecimalBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar for the bytes of an image. It is seen only on a terminal.
pub(crate) fn bar(image: &str) -> ProgressBar {
    let template =
        "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar =
        ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style);
    bar.set_message(image.to_owned());
    bar
}

/// A number of bytes, as a person says it.
pub(crate) fn in_words(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}
