//! Fuzz targets: one function per target, in a file of its own. Each takes arbitrary octets and panics when a promise is
//! broken. What drives them is in `libfuzzer/`; `fuzz/run TARGET SECONDS` builds and runs it. The seeds in `corpus/`
//! are run by `cargo test` too, and so is every input that ever broke something: put it there.

pub mod command;
pub mod framer;
pub mod mime;
pub mod mutf7;
pub mod page;

pub use command::command;
pub use framer::framer;
pub use mime::mime;
pub use mutf7::mutf7;
pub use page::page;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    type Target = (&'static str, fn(&[u8]));

    /// Every target, by the name of its directory of seeds.
    const TARGETS: [Target; 5] = [
        ("command", super::command),
        ("framer", super::framer),
        ("mime", super::mime),
        ("mutf7", super::mutf7),
        ("page", super::page),
    ];

    #[test]
    fn the_seeds_break_nothing() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        let mut directories = fs::read_dir(&corpus).unwrap().map(|d| d.unwrap().file_name()).collect::<Vec<_>>();
        directories.sort();
        assert_eq!(directories, TARGETS.map(|(name, _)| name), "a target has no seeds, or seeds no target");
        for (name, target) in TARGETS {
            let files = fs::read_dir(corpus.join(name)).unwrap().collect::<Vec<_>>();
            assert!(!files.is_empty(), "{name}");
            for file in files {
                target(&fs::read(file.unwrap().path()).unwrap());
            }
        }
    }
}
