//! Finds a template's landmarks in an image: `landmarks ENCODER TEMPLATE IMAGE`.

use infomark_infer::{Encoder, Matcher, Template, read_image};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [encoder, template, image] = &arguments[..] else {
        return Err("usage: landmarks ENCODER TEMPLATE IMAGE".into());
    };
    let matcher = Matcher::new(Encoder::load(encoder)?, [Template::load(template)?])?;
    for found in matcher.find(&read_image(image)?)? {
        println!("{} {:.2} {:.2} {:.3}", found.name, found.at.x, found.at.y, found.score);
    }
    Ok(())
}
