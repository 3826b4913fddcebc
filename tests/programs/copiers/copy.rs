// copy WAY SOURCE DESTINATION
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    if arguments[1] == "fs" {
        fs::copy(&arguments[2], &arguments[3])?;
    } else {
        io::copy(&mut fs::File::open(&arguments[2])?, &mut fs::File::create(&arguments[3])?)?;
    }
    Ok(())
}
