//! Requests of the page.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use hyper::Method;
use infomark_figures::report::BASE_STYLE;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::images::{self, Known};
use super::measure::{self, Moved};
use super::refusal::Refusal;
use super::server::{Answer, Asked, BODY, Handler};
use super::state::{Decide, Decision, Edit, Event, Setup};
use super::{
    App, add, curve, export, import, learn, lock, next, picture, recognise, search, second, train, work,
};
use crate::output;

/// Maximum length of a landmark file dropped on the page, in bytes.
const FILE: usize = 16 << 20;

/// The page's files, with their types.
const STATIC: [(&str, &str, &str); 15] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/base.css", "text/css; charset=utf-8", BASE_STYLE),
    ("/review.css", "text/css; charset=utf-8", include_str!("page/review.css")),
    ("/main.js", "text/javascript; charset=utf-8", include_str!("page/main.js")),
    ("/api.js", "text/javascript; charset=utf-8", include_str!("page/api.js")),
    ("/labels.js", "text/javascript; charset=utf-8", include_str!("page/labels.js")),
    ("/history.js", "text/javascript; charset=utf-8", include_str!("page/history.js")),
    ("/files.js", "text/javascript; charset=utf-8", include_str!("page/files.js")),
    ("/learning.js", "text/javascript; charset=utf-8", include_str!("page/learning.js")),
    ("/model.js", "text/javascript; charset=utf-8", include_str!("page/model.js")),
    ("/view.js", "text/javascript; charset=utf-8", include_str!("page/view.js")),
    ("/scheme.js", "text/javascript; charset=utf-8", include_str!("page/scheme.js")),
    ("/pictures.js", "text/javascript; charset=utf-8", include_str!("page/pictures.js")),
    ("/second.js", "text/javascript; charset=utf-8", include_str!("page/second.js")),
    ("/lists.js", "text/javascript; charset=utf-8", include_str!("page/lists.js")),
];

/// The application as a handler of requests.
pub(super) struct Site(pub(super) Arc<App>);

impl Handler for Site {
    fn admit(&self, head: &hyper::http::request::Parts) -> Result<usize, Refusal> {
        self.0.guard.check_host(&head.headers)?;
        if head.uri.path().starts_with("/api/") {
            self.0.guard.check_page(&head.headers)?;
            return Ok(match head.uri.path() {
                "/api/import" => FILE,
                "/api/add" => add::LONGEST,
                _ => BODY,
            });
        }
        // The page's own files contain no private data.
        Ok(0)
    }

    fn answer(&self, asked: Asked) -> Result<Answer, Refusal> {
        let app = &self.0;
        let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
        let get = asked.method == Method::GET;
        let post = asked.method == Method::POST;
        match parts.as_slice() {
            ["api", "state"] if get => state(app, &asked),
            ["api", "images", id, "pixels"] if get => pixels(app, id),
            ["api", "images", id, "edit"] if post => edit(app, id, &asked),
            ["api", "images", id, "template"] if post => save_template(app, id),
            ["api", "images", id, "measure"] if post => {
                let MeasureBody { points } = body(&asked)?;
                Answer::json(&json!({ "measurements": measure::measure(app, &known(app, id)?, &points)? }))
            }
            ["api", "images", id, "around"] if get => {
                Ok(Answer::new("image/png", picture::around(app, &known(app, id)?, &landmark(&asked)?)?))
            }
            ["api", "drawing"] if get => {
                Ok(Answer::new("image/svg+xml", picture::drawn(app, &landmark(&asked)?)?))
            }
            ["api", "scheme"] if get => Answer::json(&measure::about(app)),
            ["api", "second"] if get => Answer::json(&second::compare(app)?),
            ["api", "setup"] if post => setup(app, &asked),
            ["api", "match"] if post => with_encoder(app, "matching", learn::find_rest),
            ["api", "suggest"] if post => with_encoder(app, "choosing", next::suggest),
            ["api", "recognise"] if post => start(app, "recognising", recognise::recognise),
            ["api", "encoder"] if post => {
                let EncoderBody { name } = body(&asked)?;
                recognise::choose(app, &name)?;
                done()
            }
            ["api", "train"] if post => train(app, &asked),
            ["api", "next"] if post => Answer::json(&next::next(app)?),
            ["api", "learn"] if post => with_encoder(app, "learning", learn::learn),
            ["api", "learning-curve"] if get => {
                let rounds = lock(&app.store).state().rounds.clone();
                Ok(Answer::new("image/svg+xml", curve::svg(&rounds)?))
            }
            ["api", "stop"] if post => {
                app.stop_job.store(true, Ordering::Relaxed);
                done()
            }
            ["api", "add"] if post => {
                let name = query(&asked.query, "name").unwrap_or_default();
                Answer::json(&add::add(app, &decoded(name)?, &asked.body)?)
            }
            ["api", "import"] if post => import_file(app, &asked),
            ["api", "export"] if get => Answer::json(&json!({ "formats": export::formats_there(app) })),
            ["api", "export"] if post => write(app, &asked),
            ["api", "download"] if post => {
                let ExportBody { formats, accepted_only } = body(&asked)?;
                let (name, bytes) = export::make(app, &formats, accepted_only)?.download()?;
                let mut answer = Answer::new("application/octet-stream", bytes);
                answer.headers = vec![("x-name", name)];
                Ok(answer)
            }
            _ if get => {
                let file = STATIC.iter().find(|(path, ..)| *path == asked.path);
                let (_, kind, text) = file.ok_or_else(|| Refusal::missing("there is no such page"))?;
                Ok(Answer::new(kind, *text))
            }
            _ => Err(Refusal::missing("there is no such request")),
        }
    }
}

fn done() -> Result<Answer, Refusal> {
    Answer::json(&json!({}))
}

/// The value of a name in a query, still escaped.
fn query<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Decodes the escapes of a text.
fn decoded(text: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let byte;
        (byte, rest) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |digit: u8| char::from(digit).to_digit(16);
                let (high, low) = digit(*high).zip(digit(*low)).ok_or_else(|| bad_escape(text))?;
                (u8::try_from(16 * high + low).unwrap_or(b'?'), after)
            }
            (b'%', _) => return Err(bad_escape(text)),
            _ => (first, after),
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| bad_escape(text))
}

fn bad_escape(text: &str) -> Refusal {
    Refusal::bad(format!("{text}: its escapes are no UTF-8; send the name percent-encoded"))
}

/// The landmark that a query names.
fn landmark(asked: &Asked) -> Result<String, Refusal> {
    decoded(query(&asked.query, "landmark").unwrap_or_default())
}

fn body<T: DeserializeOwned>(asked: &Asked) -> Result<T, Refusal> {
    serde_json::from_slice(&asked.body)
        .map_err(|error| Refusal::bad(format!("the request is no JSON of this kind: {error}")))
}

fn known(app: &App, id: &str) -> Result<Known, Refusal> {
    let found = lock(&app.images).by_id(id).cloned();
    let found = found.ok_or_else(|| Refusal::missing("there is no such image in the folder any more"))?;
    Ok(images::looked(app, found))
}

/// Changes since a revision.
fn state(app: &App, asked: &Asked) -> Result<Answer, Refusal> {
    let number = |name| query(&asked.query, name).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
    let (since, listed) = (number("since"), number("listed"));
    let job = lock(&app.job).clone();
    let (listing, version, skipped): (Option<Vec<Known>>, _, _) = {
        let images = lock(&app.images);
        let listing = (images.version != listed).then(|| images.all.clone());
        (listing, images.version, images.skipped.clone())
    };
    let engine = app.engine();
    let encoder = json!({
        "given": app.is_model_given, "unfinished": *lock(&app.unfinished), "steps": app.steps.encoder, "most_steps": train::MOST_STEPS,
        "proposal": *lock(&app.proposal),
    });
    let store = lock(&app.store);
    let state = store.state();
    let news = state.rounds.last().is_some_and(|round| round.revision > since)
        || since == 0
        || state.setup.revision > since;
    let records: serde_json::Map<String, Value> = state
        .images
        .iter()
        .filter(|(_, record)| record.revision > since)
        .map(|(name, record)| (name.clone(), json!(record)))
        .collect();
    Answer::json(&json!({
        "revision": state.revision, "listed": version, "listing": listing, "skipped": skipped, "records": records, "job": job,
        "setup": (state.setup.revision > since || since == 0).then_some(&state.setup),
        "fixed": app.fixed, "model": engine.is_some(), "encoder": encoder, "chosen_encoder": state.encoder, "rounds": news.then_some(&state.rounds), "least": infomark_active::MIN_IMAGES, "templates": search::template_images(state),
        "given": engine.as_ref().map_or(0, |engine| engine.given.len()),
        "session": output::shown(store.folder()), "folder": output::file_name(&app.folder), "version": env!("CARGO_PKG_VERSION"),
        "longest": { "image": add::LONGEST, "landmarks": FILE },
    }))
}

fn pixels(app: &App, id: &str) -> Result<Answer, Refusal> {
    let known = known(app, id)?;
    let (image, hash) = images::levels(&known).map_err(|error| {
        let error = output::one_line(&error);
        lock(&app.images).tell(&known.name, Some(error.clone()));
        Refusal::new(422, error)
    })?;
    lock(&app.images).tell_hash(&known, (image.width, image.height), &hash);
    let (bytes, width, height, step) = images::grey(&image);
    let [low, high] = image.window;
    let mut answer = Answer::new("application/octet-stream", bytes);
    answer.headers = vec![
        ("x-width", width.to_string()),
        ("x-height", height.to_string()),
        ("x-step", step.to_string()),
        ("x-image", format!("{}x{}", image.width, image.height)),
        ("x-window", format!("{low},{high}")),
        ("x-sha256", hash),
    ];
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasureBody {
    points: Vec<Moved>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditBody {
    #[serde(default)]
    edits: Vec<Edit>,
    decision: Option<Decide>,
}

fn edit(app: &App, id: &str, asked: &Asked) -> Result<Answer, Refusal> {
    let known = known(app, id)?;
    let EditBody { edits, decision } = body(asked)?;
    if decision.is_some_and(|decide| decide.to == Decision::Accepted) && !known.path.exists() {
        return Err(Refusal::missing(format!("{}: the image is gone; put it back to accept it", known.name)));
    }
    let mut store = lock(&app.store);
    let event = store.state().edited(&known.name, &edits, decision, known.seen())?;
    store.commit(event)?;
    Answer::json(
        &json!({ "revision": store.state().revision, "record": store.state().images.get(&known.name) }),
    )
}

/// Changes of the list of landmarks and of the template.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Change {
    Add { name: String },
    Rename { from: String, to: String },
    Remove { name: String },
    Restore { name: String },
    Template { image: Option<String> },
}

#[derive(Deserialize)]
struct SetupBody {
    base: u64,
    change: Change,
}

fn setup(app: &App, asked: &Asked) -> Result<Answer, Refusal> {
    let SetupBody { base, change } = body(asked)?;
    let fixed = |name: &str| {
        if app.fixed.iter().any(|fixed| fixed == name) {
            return Err(Refusal::bad(format!(
                "{name} comes with the template that was given and stays as it is"
            )));
        }
        Ok(())
    };
    let template = match &change {
        Change::Template { image: Some(id) } => Some(known(app, id)?.name),
        _ => None,
    };
    let mut store = lock(&app.store);
    let state = store.state();
    state.check_setup(base)?;
    let event = match change {
        Change::Add { name } => {
            let name = state.free_name(&name)?;
            Event::Setup(state.with_names([name.as_str()])?)
        }
        Change::Rename { from, to } => {
            fixed(&from)?;
            if app.scheme.as_ref().is_some_and(|scheme| scheme.position(&from).is_some()) {
                return Err(Refusal::bad(format!(
                    "{from} is a landmark of the scheme, whose measurements go by its name; rename it in the scheme file"
                )));
            }
            if !state.setup.names.contains(&from) {
                return Err(Refusal::bad(format!("there is no landmark {from}")));
            }
            let to = state.free_name(&to)?;
            Event::Rename { from, to }
        }
        Change::Remove { name } => {
            fixed(&name)?;
            if !state.setup.names.contains(&name) {
                return Err(Refusal::bad(format!("there is no landmark {name}")));
            }
            Event::Remove { name }
        }
        Change::Restore { name } => state.restored(&name)?,
        Change::Template { .. } => {
            if let Some(name) = template.as_ref().filter(|name| search::landmarks(state, name).is_empty()) {
                return Err(Refusal::bad(format!("{name} has no landmarks yet; place them first")));
            }
            Event::Setup(Setup { template, ..state.setup.clone() })
        }
    };
    store.commit(event)?;
    Answer::json(&json!({ "revision": store.state().revision, "setup": store.state().setup }))
}

fn start(
    app: &Arc<App>,
    kind: &'static str,
    work: impl FnOnce(&App) -> anyhow::Result<String> + Send + 'static,
) -> Result<Answer, Refusal> {
    work::begin(app, kind, work)?;
    done()
}

fn with_encoder(
    app: &Arc<App>,
    kind: &'static str,
    work: fn(&App) -> anyhow::Result<String>,
) -> Result<Answer, Refusal> {
    app.need_engine()?;
    start(app, kind, work)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EncoderBody {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainBody {
    /// By default the standard number; a resumed training keeps its own.
    steps: Option<u64>,
    /// Whether to start anew despite an incomplete training.
    #[serde(default)]
    anew: bool,
}

fn train(app: &Arc<App>, asked: &Asked) -> Result<Answer, Refusal> {
    if app.is_model_given {
        return Err(Refusal::bad("the encoder was given by --model; start without it to train one"));
    }
    let TrainBody { steps, anew } = body(asked)?;
    let steps = steps.unwrap_or(app.steps.encoder);
    if !(1..=train::MOST_STEPS).contains(&steps) {
        return Err(Refusal::bad(format!("{steps} steps: a training has 1 to {}", train::MOST_STEPS)));
    }
    start(app, train::KIND, move |app| train::train(app, steps, anew))
}

fn save_template(app: &App, id: &str) -> Result<Answer, Refusal> {
    let known = known(app, id)?;
    let engine = app.need_engine()?;
    let points = search::landmarks(lock(&app.store).state(), &known.name);
    let (template, _) = engine.pool.install(|| engine.template_of(&known, &points))?;
    let folder = app.session.join(export::FOLDER);
    output::make_folder(&folder)?;
    let file =
        format!("{}.template", Path::new(&known.name).file_stem().unwrap_or_default().to_string_lossy());
    output::write(&folder.join(&file), &template.to_bytes())?;
    Answer::json(&json!({ "files": [format!("{}/{file}", export::FOLDER)] }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportBody {
    formats: Vec<String>,
    accepted_only: bool,
}

/// Imports a landmark file dropped on the page; those of 3D Slicer and ISBI belong to the image named by `for`.
fn import_file(app: &App, asked: &Asked) -> Result<Answer, Refusal> {
    let image = query(&asked.query, "for").map(|id| known(app, id)).transpose()?;
    Answer::json(&import::take_landmarks(app, &asked.body, "the file", image.as_ref())?)
}

fn write(app: &App, asked: &Asked) -> Result<Answer, Refusal> {
    let ExportBody { formats, accepted_only } = body(asked)?;
    let told = export::make(app, &formats, accepted_only)?.write(app)?;
    let folder = std::fs::canonicalize(&app.session).context("the review's folder is gone")?;
    Answer::json(&json!({ "told": told, "folder": output::shown(&folder) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_the_bytes_of_text() {
        assert_eq!(decoded("a%20%C3%A4.png").ok().as_deref(), Some("a \u{e4}.png"));
        assert_eq!(decoded("..%2F%2e%2E").ok().as_deref(), Some("../.."));
        for bad in ["%", "%f", "%zz", "%ff", "%-1"] {
            assert!(decoded(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_page_offers_every_format_that_is_written() {
        for key in super::export::formats()
            .map(|format| format.key())
            .chain([super::export::MEASUREMENTS, super::export::MODEL])
        {
            let value = format!("value=\"{key}\"");
            assert!(include_str!("page/index.html").contains(&value), "{value}");
        }
    }
}
