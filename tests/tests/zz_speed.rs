#![allow(missing_docs, clippy::unwrap_used)]
use infomark_core::{Point, Rng};
use infomark_infer::*;
use infomark_tests::infer_fixture::{floats, integers, integer, node, value, texture, description};
use prost::Message;
use std::collections::BTreeMap;
use std::time::Instant;
use tract_onnx::pb::*;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

struct G { n: Vec<NodeProto>, c: Vec<TensorProto>, k: usize, rng: Rng, style: String }
fn fl(name: &str, v: f32) -> AttributeProto { AttributeProto { name: name.into(), f: v, r#type: attribute_proto::AttributeType::Float as i32, ..Default::default() } }
fn st(name: &str, v: &str) -> AttributeProto { AttributeProto { name: name.into(), s: v.as_bytes().to_vec(), r#type: attribute_proto::AttributeType::String as i32, ..Default::default() } }
impl G {
    fn f(&mut self, d: &[usize], v: &[f32]) -> String { self.k += 1; let n = format!("w{}", self.k); let d: Vec<i64> = d.iter().map(|&x| x as i64).collect(); self.c.push(floats(&n, &d, v)); n }
    fn i(&mut self, v: &[i64]) -> String { self.k += 1; let n = format!("i{}", self.k); self.c.push(TensorProto { name: n.clone(), dims: vec![v.len() as i64], data_type: 7, raw_data: v.iter().flat_map(|v| v.to_le_bytes()).collect(), ..Default::default() }); n }
    fn op(&mut self, op: &str, i: &[&str], a: Vec<AttributeProto>) -> String { self.k += 1; let o = format!("x{}", self.k); self.n.push(node(op, i, &o, a)); o }
    fn rand(&mut self, d: &[usize], s: f32) -> String { let n: usize = d.iter().product(); let v: Vec<f32> = (0..n).map(|_| self.rng.normal::<f32>() * s).collect(); self.f(d, &v) }
    fn conv(&mut self, x: &str, i: usize, o: usize, k: usize, s: usize, h: usize, w: usize) -> String {
        let wt = self.rand(&[o, i, k, k], (2.0 / (i * k * k) as f32).sqrt());
        let p = ((k - s) / 2).max(if s == 1 { k / 2 } else { 0 }) as i64;
        let x = self.op("Conv", &[x, &wt], vec![integers("kernel_shape", &[k as i64; 2]), integers("pads", &[p; 4]), integers("strides", &[s as i64; 2])]);
        self.norm(&x, o, h, w)
    }
    fn norm(&mut self, x: &str, c: usize, h: usize, w: usize) -> String {
        let style = self.style.clone();
        let gamma = self.rand(&[1, c, 1, 1], 1.0); let beta = self.rand(&[1, c, 1, 1], 0.1);
        let g = self.i(&[1, 8, (c / 8 * h * w) as i64]); let whole = self.i(&[1, c as i64, h as i64, w as i64]);
        let y = match style.as_str() {
            "none" => return self.op("Relu", &[x], vec![]),
            "inst" => { let one = self.f(&[8], &[1.0; 8]); let zero = self.f(&[8], &[0.0; 8]);
                let y = self.op("Reshape", &[x, &g], vec![]);
                let y = self.op("InstanceNormalization", &[&y, &one, &zero], vec![fl("epsilon", 1e-5)]);
                let y = self.op("Reshape", &[&y, &whole], vec![]);
                let y = self.op("Mul", &[&y, &gamma], vec![]); self.op("Add", &[&y, &beta], vec![]) }
            _ => { // "affine": moments of the grouped map, folded with gamma and beta into one scale and shift a channel
                let n = (c / 8 * h * w) as f32;
                let y = self.op("Reshape", &[x, &g], vec![]);
                let (sum, sq);
                if style == "affine" {
                    let ax = self.i(&[2]);
                    sum = self.op("ReduceSum", &[&y, &ax], vec![integer("keepdims", 1)]);
                    sq = self.op("ReduceSumSquare", &[&y], vec![integers("axes", &[2]), integer("keepdims", 1)]);
                } else {
                    let ones = self.f(&[1, (c / 8 * h * w), 1], &vec![1.0; c / 8 * h * w]);
                    sum = self.op("MatMul", &[&y, &ones], vec![]);
                    let yy = self.op("Mul", &[&y, &y], vec![]);
                    sq = self.op("MatMul", &[&yy, &ones], vec![]);
                }
                let inv = self.f(&[1], &[1.0 / n]); let eps = self.f(&[1], &[1e-5]);
                let mean = self.op("Mul", &[&sum, &inv], vec![]); let msq = self.op("Mul", &[&sq, &inv], vec![]);
                let mm = self.op("Mul", &[&mean, &mean], vec![]); let var = self.op("Sub", &[&msq, &mm], vec![]);
                let var = self.op("Add", &[&var, &eps], vec![]); let sd = self.op("Sqrt", &[&var], vec![]); // [1,8,1]
                let gs = self.i(&[1, 8, (c / 8) as i64, 1]); let _ = gs;
                let one = self.f(&[1, 8, 1], &[1.0; 8]);
                let rs = self.op("Div", &[&one, &sd], vec![]);
                let ga = self.rand(&[1, 8, c / 8], 1.0); let be = self.rand(&[1, 8, c / 8], 0.1);
                let scale = self.op("Mul", &[&ga, &rs], vec![]); // [1,8,c/8]
                let ms = self.op("Mul", &[&scale, &mean], vec![]);
                let shift = self.op("Sub", &[&be, &ms], vec![]);
                let s4 = self.i(&[1, c as i64, 1, 1]);
                let scale = self.op("Reshape", &[&scale, &s4], vec![]); let shift = self.op("Reshape", &[&shift, &s4], vec![]);
                let y = self.op("Mul", &[x, &scale], vec![]); self.op("Add", &[&y, &shift], vec![]) }
        };
        self.op("Relu", &[&y], vec![])
    }
    fn head(&mut self, x: &str, c: usize, e: usize, out: &str) {
        let w = self.rand(&[e, c, 1, 1], 0.2); let b = self.f(&[e], &vec![0.01; e]);
        let y = self.op("Conv", &[x, &w, &b], vec![integers("kernel_shape", &[1, 1])]);
        let q = self.op("Mul", &[&y, &y], vec![]); let ax = self.i(&[1]);
        let s = self.op("ReduceSum", &[&q, &ax], vec![integer("keepdims", 1)]);
        let e = self.f(&[1, 1, 1, 1], &[1e-12]); let s = self.op("Add", &[&s, &e], vec![]); let s = self.op("Sqrt", &[&s], vec![]);
        self.n.push(node("Div", &[&y, &s], out, vec![]));
    }
}
fn cpu() -> f64 { std::fs::read_to_string("/proc/thread-self/schedstat").unwrap().split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e6 }
fn unet(width: usize, height: usize, style: &str, e: usize) -> Vec<u8> {
    let strides = [2, 4, 8, 16, 32]; let wd = [16, 32, 64, 96, 128];
    let mut g = G { n: vec![], c: vec![], k: 0, rng: Rng::new(1, 1), style: style.into() };
    let mut x = "image".to_string(); let mut fine = vec![]; 
    for l in 0..5 {
        let (h, w) = (height / strides[l], width / strides[l]);
        x = if l == 0 { g.conv(&x, 1, 16, 6, 2, h, w) } else { let p = g.op("MaxPool", &[&x], vec![integers("kernel_shape", &[2, 2]), integers("strides", &[2, 2])]); g.conv(&p, wd[l - 1], wd[l], 3, 1, h, w) };
        x = g.conv(&x, wd[l], wd[l], 3, 1, h, w); fine.push(x.clone());
    }
    fine.pop(); g.head(&x, 128, e, "stride_32");
    let sc = g.f(&[4], &[1.0, 1.0, 2.0, 2.0]);
    for l in (0..4).rev() {
        let (h, w) = (height / strides[l], width / strides[l]);
        let d = g.op("Resize", &[&x, "", &sc], vec![st("mode", "nearest"), st("coordinate_transformation_mode", "asymmetric"), st("nearest_mode", "floor")]);
        let j = g.op("Concat", &[&fine[l], &d], vec![integer("axis", 1)]);
        x = g.conv(&j, wd[l] + wd[l + 1], wd[l], 3, 1, h, w); x = g.conv(&x, wd[l], wd[l], 3, 1, h, w);
        g.head(&x, wd[l], e, &format!("stride_{}", strides[l]));
    }
    let mut d = description(width, height); d.strides = strides.to_vec(); d.channels = e;
    ModelProto { ir_version: 8, opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        metadata_props: d.to_properties().unwrap().into_iter().map(|(key, value)| StringStringEntryProto { key, value }).collect(),
        graph: Some(GraphProto { name: "g".into(), node: g.n, initializer: g.c, input: vec![value("image", &[1, 1, height, width])],
            output: strides.iter().map(|&s| value(&format!("stride_{s}"), &[1, e, height / s, width / s])).collect(), ..Default::default() }), ..Default::default() }.encode_to_vec()
}
#[test]
fn speed() {
    let style = std::env::var("STYLE").unwrap_or("inst".into());
    let bytes = unet(384, 480, &style, 32);
    let t = Instant::now();
    let enc = Encoder::from_bytes(&bytes, "u").unwrap();
    println!("{style} load {:?} file {} bytes", t.elapsed(), bytes.len());
    let img = texture(1, 640, 800, 0, 0);
    let pts: Vec<Landmark> = (0..10).map(|i| Landmark { name: i.to_string(), at: Point::new(100.0 + 40.0 * i as f64, 200.0 + 30.0 * i as f64) }).collect();
    let tpl = Template::new(&enc, &img, &pts).unwrap();
    for _ in 0..4 {
        let (t, c0) = (Instant::now(), cpu()); let fit = Fit::new(640, 800, enc.description().input).unwrap(); let cv = fit.apply(&img).unwrap(); let c1 = cpu(); std::hint::black_box(cv); let e = enc.encode(&img).unwrap(); let (a, c2) = (t.elapsed(), cpu());
        let f = match_encoding(&tpl, &e).unwrap(); println!("resize cpu {:.1} encode cpu {:.1} (wall of both {a:?}) match 10 cpu {:.1} ms {:?}", c1 - c0, c2 - c1, cpu() - c2, f[0].at);
    }
    for knob in [true, false] {
    let kn: Vec<(&str, &str)> = if knob { vec![("TRACT_DISABLE_DIRECT_SPATIAL", "1")] } else { vec![] };
    let sc = tract_onnx::tract_core::tract_data::knobs::KnobScope::new(kn).unwrap();
    let m = sc.enter(|| tract_onnx::onnx().model_for_read(&mut &bytes[..]).unwrap().with_input_fact(0, f32::fact([1, 1, 480, 384]).into()).unwrap().into_typed().unwrap().into_decluttered().unwrap().into_optimized().unwrap());
    let plan = m.into_runnable().unwrap();
    let x: Tensor = tract_onnx::prelude::tract_ndarray::Array4::<f32>::from_shape_fn((1, 1, 480, 384), |(_, _, y, x)| ((x * 31 + y * 17) % 101) as f32 / 101.0).into();
    for _ in 0..3 { let t = cpu(); plan.run(tvec!(x.clone().into())).unwrap(); println!("knob {knob} run cpu {:.1}", cpu() - t); }
    let mut acc: BTreeMap<String, (f64, usize)> = Default::default(); let mut nodes: Vec<(f64, String)> = vec![];
    for _ in 0..3 { let mut s = SimpleState::new(&plan).unwrap();
        s.run_plan_with_eval(tvec!(x.clone().into()), |c, s, node, input| { let shp = input.iter().map(|i| format!("{:?}", i.shape())).collect::<Vec<_>>().join(" "); let t = cpu(); let r = tract_onnx::tract_core::plan::eval(c, s, node, input); let d = (cpu() - t) * 1e-3; let e = acc.entry(node.op().name().to_string()).or_default(); e.0 += d; e.1 += 1; nodes.push((d, format!("{} {} {}", node.op().name(), node.name, shp))); r }).unwrap(); }
    let mut v: Vec<_> = acc.into_iter().collect(); v.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    for (k, (t, c)) in v.iter().take(12) { println!("  {:8.1} ms x{} {k}", t * 1e3 / 3.0, c / 3); }
    nodes.sort_by(|a, b| b.0.total_cmp(&a.0)); let mut seen = std::collections::HashSet::new();
    for (t, k) in nodes.iter().filter(|x| seen.insert(x.1.clone())).take(14) { println!("      {:8.1} ms {k}", t * 1e3); }
    }
}
