//! All tools, and the package that has each.

/// A package with tools.
pub(crate) struct Package {
    /// Its name, which is that of its program, too.
    pub(crate) name: &'static str,
    /// Whether the program has to be told which of its tools is meant.
    pub(crate) has_several: bool,
    /// How long it takes to compile it with all that it needs, on two cores and from nothing.
    pub(crate) takes: &'static str,
}

/// What a learner needs first. It compiles no more than that takes.
pub(crate) const COURSE: Package =
    Package { name: "workshop", has_several: true, takes: "about 25 seconds" };
const ATTACKS: Package = Package { name: "attacks", has_several: false, takes: "about 30 seconds" };
const REGISTRY: Package = Package { name: "registry", has_several: true, takes: "about a minute" };
const BENCH: Package = Package { name: "bench", has_several: false, takes: "about a minute" };

/// A tool, as it is called.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) package: &'static Package,
    /// As its own `--help` says it: a test compares.
    about: &'static str,
}

const fn of_course(name: &'static str, about: &'static str) -> Tool {
    Tool { name, package: &COURSE, about }
}

/// All of them, in the order of the help.
const TOOLS: [Tool; 14] = [
    of_course(
        "doctor",
        "Tell what of the course runs on this machine, and what to do about the rest",
    ),
    of_course("list", "List the exercises, and how far you are"),
    of_course("start", "Begin an exercise: its text, and a file for you to change"),
    of_course("check", "Check your program"),
    of_course("hint", "Show one more hint"),
    of_course("reset", "Put the starter back in place of your file, which goes to exercises/kept"),
    of_course("solution", "Show the solution, once you have passed or when you ask twice"),
    of_course("next", "Begin the next exercise that you have not passed yet"),
    of_course("trace", "Run a step and show the system calls that make the container"),
    of_course("xray", "Show every container on this machine, or all about one process"),
    Tool { name: "pull", package: &REGISTRY, about: "Bring images from a registry" },
    Tool {
        name: "images",
        package: &REGISTRY,
        about: "List the images that were pulled, and remove some",
    },
    Tool {
        name: "attacks",
        package: &ATTACKS,
        about: "Attack every step, and show what still leaks",
    },
    Tool {
        name: "bench",
        package: &BENCH,
        about: "Measure what a container costs, and what building it costs",
    },
];

/// The tool of this name.
pub(crate) fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// What `cargo workshop --help` prints.
pub(crate) fn help() -> String {
    let mut text =
        "The tools of the course. Without a tool: the exercises, and how far you are.\n\n\
        Usage: cargo workshop [TOOL] [ARGUMENT]...\n\nTools:\n"
            .to_owned();
    for Tool { name, about, .. } in &TOOLS {
        text += &format!("  {name:9} {about}\n");
    }
    text + "\nMore about one of them: cargo workshop TOOL --help\n"
}

/// The tool that is meant by a name that is none.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    door::nearest(name, TOOLS.iter().map(|tool| tool.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_mistake_is_recognized() {
        let meant = ["docter", "dcotor", "attack", "solutoin", "chek", "xrya", "strat"];
        let tools = ["doctor", "doctor", "attacks", "solution", "check", "xray", "start"];
        assert_eq!(meant.map(nearest).map(Option::unwrap_or_default), tools);
    }

    #[test]
    fn another_word_is_none() {
        assert_eq!(["", "ls", "exercises", "--json", "nex7t5"].map(nearest), [None; 5]);
    }
}
