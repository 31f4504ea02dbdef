//! Every script in `tests/scripts`, against sessions in this process on the memory engine: once with octets as they
//! come, once with every read split into single octets and a narrow pipe back, and once with packs for every page, so
//! that what is fetched and searched comes from them where it can.

use std::path::Path;

use columba_sim::LinkOptions;
use columba_sim::script::{Ground, MailSide, MemoryGround, Variant, main as play_all};
use columba_store::Options;

fn main() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let variants = [
        variant("in memory", LinkOptions::default()),
        variant("octet by octet", LinkOptions { read_bytes: 1, pipe_bytes: 100 }),
        Variant { name: "from packs", ground: Box::new(packing) },
    ];
    std::process::exit(play_all(&tests.join("scripts"), &tests.join("messages"), &variants, 2));
}

fn variant(name: &'static str, options: LinkOptions) -> Variant {
    let ground = move || MemoryGround::new(options).map(|ground| Box::new(ground) as Box<dyn Ground>);
    Variant { name, ground: Box::new(ground) }
}

fn packing() -> Result<Box<dyn Ground>, String> {
    let mail = MailSide::with(Options { packed_page: 1, ..Options::default() })?;
    Ok(Box::new(MemoryGround::on(mail, LinkOptions::default()).packing()))
}
