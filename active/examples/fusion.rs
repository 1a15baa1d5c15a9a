//! prototype
use infomark_core::Point;
use infomark_infer::*;
use infomark_train::*;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let a: Vec<String> = std::env::args().collect();
    let (enc, train, dev, n, steps, folds, seed, out) = (
        &a[1],
        &a[2],
        &a[3],
        a[4].parse::<usize>()?,
        a[5].parse::<u64>()?,
        a[6].parse::<usize>()?,
        a[7].parse::<u64>()?,
        PathBuf::from(&a[8]),
    );
    let encoder = Arc::new(infomark_models::load_encoder(Path::new(enc))?);
    let train = DataSet::open(train)?;
    let dev = DataSet::open(dev)?;
    let paths: Vec<PathBuf> = train.images.iter().map(|s| s.path.clone()).collect();
    let key = format!("{}.order", out.display());
    let order: Vec<usize> = match std::fs::read_to_string(&key) {
        Ok(t) => t.split_whitespace().map(|v| v.parse().unwrap()).collect(),
        Err(_) => {
            let r = Ranking::of(&encoder, &paths, AGAINST, 0, &|| Ok(()))?;
            let o = r.choose(40);
            std::fs::write(&key, o.iter().map(|v| v.to_string()).collect::<Vec<_>>().join(" "))?;
            o
        }
    };
    let chosen: Vec<usize> =
        if seed == 0 { order[..n].to_vec() } else { infomark_eval::draw(n, paths.len(), seed, 77) };
    let config = LandmarkConfig {
        budget: Budget::Steps(steps),
        batch: 2,
        checkpoint_every: steps,
        threads: 0,
        ..LandmarkConfig::default()
    };
    let mut nets = Vec::new();
    for fold in 0..folds {
        let ids: Vec<usize> =
            chosen.iter().enumerate().filter(|(i, _)| i % folds != fold).map(|(_, c)| *c).collect();
        let set = AnnotatedSet {
            landmarks: train.landmarks.clone(),
            images: ids
                .iter()
                .map(|i| {
                    let s = &train.images[*i];
                    (s.path.clone(), s.landmarks.iter().map(|p| Some(*p)).collect())
                })
                .collect(),
        };
        let run = out.join(format!("n{n}-s{steps}-f{folds}-seed{seed}-{fold}"));
        let file = run.join("net.onnx");
        if !file.exists() {
            let (bytes, summary) =
                train_landmarks_on(&config, &set, Some(Path::new(enc)), &run, &mut |_| {
                    std::ops::ControlFlow::Continue(())
                })?;
            std::fs::write(&file, bytes)?;
            eprintln!("fold {fold}: {:.0} s", summary.seconds);
        }
        nets.push(LandmarkNet::load(&file)?);
    }
    let order: Vec<usize> =
        dev.landmarks.iter().map(|l| train.landmarks.iter().position(|m| m == l).unwrap()).collect();
    for most in [3usize, 5, 8, 12] {
        if most > n && most != 5 {
            continue;
        }
        let templates: Vec<Template> = chosen
            .iter()
            .take(most)
            .map(|i| {
                let s = &train.images[*i];
                Template::new(&encoder, &read_image(&s.path).unwrap(), &train.landmarks_of(s)).unwrap()
            })
            .collect();
        let ens = Ensemble::new(Matcher::new(Arc::clone(&encoder), templates)?, nets.clone())?;
        let mix = [0.25, 0.5, 0.75];
        let names: Vec<String> = ["templates", "net", "fused"]
            .iter()
            .map(|s| s.to_string())
            .chain(mix.iter().map(|w| format!("mean t*{w}")))
            .chain(["if near".into()])
            .collect();
        let rows: Vec<(Vec<Vec<f64>>, Vec<f64>)> = dev
            .images
            .par_iter()
            .map(|s| {
                let image = read_image(&s.path).unwrap();
                let err = |points: Vec<Point<f64>>| -> Vec<f64> {
                    order
                        .iter()
                        .zip(&s.landmarks)
                        .map(|(o, t)| infomark_core::radial_error_mm(points[*o], *t, dev.spacing))
                        .collect()
                };
                let c = ens.candidates(&image, None).unwrap();
                let by = |m: Member| c.iter().map(|c| c.at(m)).collect::<Vec<_>>();
                let (t, l, f) = (by(Member::Templates), by(Member::Network), by(Member::Fusion));
                let mean = |w: f64| {
                    t.iter()
                        .zip(&f)
                        .map(|(t, f)| Point::new(w * t.x + (1.0 - w) * f.x, w * t.y + (1.0 - w) * f.y))
                        .collect::<Vec<_>>()
                };
                let near = t
                    .iter()
                    .zip(&f)
                    .map(|(t, f)| {
                        if (t.x - f.x).hypot(t.y - f.y) < 20.0 {
                            Point::new(0.5 * t.x + 0.5 * f.x, 0.5 * t.y + 0.5 * f.y)
                        } else {
                            *f
                        }
                    })
                    .collect::<Vec<_>>();
                let mut all = vec![err(t.clone()), err(l), err(f.clone())];
                for w in mix {
                    all.push(err(mean(w)));
                }
                all.push(err(near));
                (all, order.iter().map(|o| c[*o].disagreement).collect())
            })
            .collect();
        println!("-- {most} templates");
        for (m, name) in names.iter().enumerate() {
            let mut v: Vec<f64> = rows.iter().flat_map(|r| r.0[m].clone()).collect();
            v.sort_by(f64::total_cmp);
            let mean = v.iter().sum::<f64>() / v.len() as f64;
            let share = |r: f64| 100.0 * v.iter().filter(|e| **e < r).count() as f64 / v.len() as f64;
            println!(
                "{name:18} mean {mean:6.2} median {:5.2} p90 {:6.2} max {:6.1}  sdr2 {:5.1} sdr4 {:5.1}",
                v[v.len() / 2],
                v[v.len() * 9 / 10],
                v[v.len() - 1],
                share(2.0),
                share(4.0)
            );
        }
        let l = dev.landmarks.len();
        let per = |m: usize, k: usize| rows.iter().map(|r| r.0[m][k]).sum::<f64>() / rows.len() as f64;
        let best =
            (0..l).map(|k| (0..names.len()).map(|m| per(m, k)).fold(f64::INFINITY, f64::min)).sum::<f64>()
                / l as f64;
        println!("oracle per landmark {best:.2}");
        // does the disagreement tell the error?
        let mut pairs: Vec<(f64, f64)> =
            rows.iter().flat_map(|r| r.1.iter().copied().zip(r.0[4].iter().copied())).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        for tenth in pairs.chunks(pairs.len().div_ceil(8)) {
            let e = tenth.iter().map(|p| p.1).sum::<f64>() / tenth.len() as f64;
            let mut s: Vec<f64> = tenth.iter().map(|p| p.1).collect();
            s.sort_by(f64::total_cmp);
            print!(" {:.1}:{e:.2}/{:.1}", tenth[tenth.len() / 2].0, s[s.len() * 9 / 10]);
        }
        println!();
    }
    Ok(())
}
