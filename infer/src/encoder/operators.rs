//! Layers of infomark's networks as operators of tract, on the kernels that training runs on.
//!
//! tract's own convolution copies each pixel nine times and then multiplies matrices of few rows; normalisation, enlarging, joining and
//! scaling to length one are passes of their own there.

use std::sync::Arc;

use infomark_kernels::conv::{Packed, Padded, convolve};
use infomark_kernels::{head, norm};
use tract_hir::internal::*;
use tract_onnx::Onnx;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

/// Type of a node that is a [`Convolution`].
pub(super) const LAYER: &str = "infomark.Layer";
/// Type of a node that is a [`Projection`].
pub(super) const EMBED: &str = "infomark.Embed";

/// What a convolution of 3 x 3 reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Its input.
    Plain,
    /// Two inputs: the second one enlarged to 2 x 2 its size by repetition and joined to the first.
    Joined,
    /// The 2 x 2 blocks of its input of one channel, as four channels.
    Blocks,
}

/// Group normalisation and ReLU.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
    pub(super) groups: usize,
}

/// Convolution of 3 x 3, `[outputs, inputs, 3, 3]`, with what comes before and after it.
#[derive(Clone, Debug)]
pub(super) struct Convolution {
    pub(super) source: Source,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) weight: Vec<f32>,
    pub(super) norm: Option<Norm>,
}

/// Convolution of 1 x 1, `[outputs, inputs]`, and scaling to length one.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Convolution {
    /// The node that [`register`] makes an operator of.
    pub(super) fn node(&self, inputs: Vec<String>, output: String) -> NodeProto {
        let source = match self.source {
            Source::Plain => 0,
            Source::Joined => 1,
            Source::Blocks => 2,
        };
        let mut attribute = vec![
            ints("sizes", &[source, self.inputs as i64, self.outputs as i64]),
            values("weight", &self.weight),
        ];
        if let Some(norm) = &self.norm {
            attribute.extend([
                ints("groups", &[norm.groups as i64]),
                values("gamma", &norm.gamma),
                values("beta", &norm.beta),
            ]);
        }
        NodeProto {
            op_type: LAYER.into(),
            name: output.clone(),
            input: inputs,
            output: vec![output],
            attribute,
            ..Default::default()
        }
    }

    fn of(node: &NodeProto) -> Option<Convolution> {
        let &[source, inputs, outputs] = &*ints_of(node, "sizes")? else { return None };
        let source = match source {
            0 => Source::Plain,
            1 => Source::Joined,
            2 => Source::Blocks,
            _ => return None,
        };
        let norm = match (ints_of(node, "groups"), values_of(node, "gamma"), values_of(node, "beta")) {
            (Some(groups), Some(gamma), Some(beta)) => {
                Some(Norm { gamma, beta, groups: usize::try_from(*groups.first()?).ok()? })
            }
            _ => None,
        };
        let (inputs, outputs) = (usize::try_from(inputs).ok()?, usize::try_from(outputs).ok()?);
        Some(Convolution { source, inputs, outputs, weight: values_of(node, "weight")?, norm })
    }
}

impl Projection {
    /// The node that [`register`] makes an operator of.
    pub(super) fn node(&self, input: String, output: String) -> NodeProto {
        let attribute = vec![
            ints("sizes", &[self.inputs as i64, self.outputs as i64]),
            values("weight", &self.weight),
            values("bias", &self.bias),
        ];
        NodeProto {
            op_type: EMBED.into(),
            name: output.clone(),
            input: vec![input],
            output: vec![output],
            attribute,
            ..Default::default()
        }
    }

    fn of(node: &NodeProto) -> Option<Projection> {
        let &[inputs, outputs] = &*ints_of(node, "sizes")? else { return None };
        let (inputs, outputs) = (usize::try_from(inputs).ok()?, usize::try_from(outputs).ok()?);
        Some(Projection {
            inputs,
            outputs,
            weight: values_of(node, "weight")?,
            bias: values_of(node, "bias")?,
        })
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: ints.to_vec(), ..Default::default() }
}

fn values(name: &str, values: &[f32]) -> AttributeProto {
    let tensor = TensorProto { float_data: values.to_vec(), ..Default::default() };
    AttributeProto { name: name.into(), t: Some(tensor), ..Default::default() }
}

fn ints_of(node: &NodeProto, name: &str) -> Option<Vec<i64>> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.ints.clone())
}

fn values_of(node: &NodeProto, name: &str) -> Option<Vec<f32>> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name)?;
    attribute.t.as_ref().map(|tensor| tensor.float_data.clone())
}

/// Makes the operators known to a reader of graphs.
pub(super) fn register(onnx: &mut Onnx) {
    onnx.op_register.insert(LAYER, |_, node| {
        let mut convolution = Convolution::of(node).context("a layer without its weights")?;
        let weight = std::mem::take(&mut convolution.weight);
        let weight = Packed::forward(&weight, convolution.outputs, convolution.inputs);
        Ok((expand(Operator(Arc::new(Kind::Layer(convolution, weight)))), vec![]))
    });
    onnx.op_register.insert(EMBED, |_, node| {
        let projection = Projection::of(node).context("a projection without its weights")?;
        Ok((expand(Operator(Arc::new(Kind::Embed(projection)))), vec![]))
    });
}

#[derive(Clone, Debug)]
struct Operator(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    /// The weights as the kernel reads them beside it.
    Layer(Convolution, Packed),
    Embed(Projection),
}

impl Kind {
    /// The shape of the output, where the inputs are of shapes that the operator reads.
    fn shape(&self, inputs: &[[usize; 4]]) -> TractResult<[usize; 4]> {
        let shape = match (self, inputs) {
            (Kind::Embed(projection), &[[1, channels, height, width]]) if channels == projection.inputs => {
                Some([1, projection.outputs, height, width])
            }
            (Kind::Layer(convolution, _), inputs) => convolution.shape(inputs),
            _ => None,
        };
        shape.with_context(|| format!("{} cannot read inputs of {inputs:?}", self.name()))
    }

    fn name(&self) -> &'static str {
        match self {
            Kind::Layer(..) => LAYER,
            Kind::Embed(_) => EMBED,
        }
    }

    /// Writes the output of `shape`; `inputs` are of the shapes beside them.
    fn compute(&self, inputs: &[(&[f32], [usize; 4])], [_, _, height, width]: [usize; 4], out: &mut [f32]) {
        match (self, inputs) {
            (Kind::Embed(Projection { inputs: channels, outputs, weight, bias }), [(x, _), ..]) => {
                let shape = head::Shape { inputs: *channels, outputs: *outputs, area: width * height };
                head::forward(x, weight, bias, shape, out);
            }
            (Kind::Layer(convolution, weight), [(x, shape), rest @ ..]) => {
                let padded = match (convolution.source, rest) {
                    (Source::Joined, [(coarse, added), ..]) => {
                        Padded::joined(x, shape[1], coarse, added[1], width, height)
                    }
                    (Source::Blocks, _) => Padded::blocks(x, width, height),
                    _ => Padded::new(x, convolution.inputs, width, height),
                };
                convolve(&padded, weight, out);
                if let Some(Norm { gamma, beta, groups }) = &convolution.norm {
                    norm::in_place(out, gamma, beta, *groups, width * height);
                }
            }
            _ => {}
        }
    }
}

impl Convolution {
    fn shape(&self, inputs: &[[usize; 4]]) -> Option<[usize; 4]> {
        match (self.source, inputs) {
            (Source::Plain, &[[1, channels, height, width]]) if channels == self.inputs => {
                Some([1, self.outputs, height, width])
            }
            (Source::Joined, &[[1, kept, height, width], [1, added, coarse_height, coarse_width]])
                if kept + added == self.inputs
                    && (height, width) == (2 * coarse_height, 2 * coarse_width) =>
            {
                Some([1, self.outputs, height, width])
            }
            (Source::Blocks, &[[1, 1, height, width]]) if height % 2 == 0 && width % 2 == 0 => {
                Some([1, self.outputs, height / 2, width / 2])
            }
            _ => None,
        }
    }
}

impl Expansion for Operator {
    fn name(&self) -> StaticName {
        self.0.name().into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, f32::datum_type())?;
        s.given_all(inputs.iter().map(|input| &input.shape), |s, shapes| {
            let shapes = shapes.iter().map(|shape| sides(shape)).collect::<TractResult<Vec<_>>>()?;
            s.equals(&outputs[0].shape, TVec::from(self.0.shape(&shapes)?.map(TDim::from)))
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for Operator {
    fn name(&self) -> StaticName {
        self.0.name().into()
    }

    op_as_typed_op!();
}

impl PartialEq for Operator {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Operator {}

impl TypedOp for Operator {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shapes = inputs.iter().map(|fact| {
            ensure!(fact.datum_type == f32::datum_type(), "{fact:?} is not of 32-bit floats");
            sides(&fact.shape)
        });
        let shapes = shapes.collect::<TractResult<Vec<_>>>()?;
        Ok(tvec!(f32::fact(self.0.shape(&shapes)?)))
    }
}

impl EvalOp for Operator {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let views = inputs.iter().map(|input| input.try_as_plain_ram()).collect::<TractResult<Vec<_>>>()?;
        let given = views.iter().zip(&inputs).map(|(view, input)| {
            let shape = input.shape().try_into().map_err(|_| format_err!("not four dimensions"))?;
            Ok((view.as_slice::<f32>()?, shape))
        });
        let given = given.collect::<TractResult<Vec<_>>>()?;
        let shapes: Vec<[usize; 4]> = given.iter().map(|(_, shape)| *shape).collect();
        let shape = self.0.shape(&shapes)?;
        let mut out = Tensor::zero::<f32>(&shape)?;
        self.0.compute(&given, shape, out.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        Ok(tvec!(out.into_tvalue()))
    }
}

fn sides(shape: &[TDim]) -> TractResult<[usize; 4]> {
    let sides = shape.iter().map(|side| Ok(side.to_usize()?)).collect::<TractResult<Vec<_>>>()?;
    sides.try_into().map_err(|sides| format_err!("{sides:?} are not four dimensions"))
}
