//! The layers' places in burn's autodiff graph: what each keeps for its backward pass and which gradients it registers.

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::TensorMetadata;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;

use super::{EncoderOps, cpu};

/// Defines a layer's backward step: its name, number of inputs, state, and how the gradients come from them.
macro_rules! backward {
    ($name:ident, $inputs:literal, $state:ty, |$st:ident, $grad:ident, $wanted:ident| $body:expr) => {
        #[derive(Debug)]
        struct $name;

        impl Backward<Flex, $inputs> for $name {
            type State = $state;

            fn backward(self, ops: Ops<Self::State, $inputs>, grads: &mut Gradients, _: &mut Checkpointer) {
                let $grad = grads.consume::<Flex>(&ops.node);
                let $st = ops.state;
                let $wanted = ops.parents.each_ref().map(Option::is_some);
                let results: [Option<FlexTensor>; $inputs] = $body;
                for (parent, result) in ops.parents.into_iter().zip(results) {
                    if let (Some(parent), Some(result)) = (parent, result) {
                        grads.register::<Flex>(parent.id, result);
                    }
                }
            }
        }
    };
}

backward!(ConvBackward, 2, (FlexTensor, FlexTensor), |state, grad, wanted| {
    let (dx, dw) = cpu::conv3x3_backward(&state.0, &state.1, &grad, wanted[0]);
    [dx, Some(dw)]
});
backward!(NormBackward, 3, (FlexTensor, FlexTensor, FlexTensor, usize), |state, grad, _wanted| {
    cpu::norm_relu_backward(&state.0, &state.1, &state.2, state.3, &grad).map(Some)
});
backward!(PoolBackward, 1, FlexTensor, |state, grad, _wanted| [Some(cpu::max_pool_backward(&state, &grad))]);
backward!(JoinBackward, 2, usize, |state, grad, _wanted| cpu::join_backward(&grad, state).map(Some));
backward!(EmbedBackward, 3, (FlexTensor, FlexTensor, FlexTensor), |state, grad, _wanted| {
    cpu::embed_backward(&state.0, &state.1, &state.2, &grad).map(Some)
});
backward!(DotBackward, 2, FlexTensor, |state, grad, _wanted| [Some(cpu::dot_backward(&state, &grad)), None]);

/// Registers a step whose output and state come from the inputs' values.
macro_rules! record {
    ($step:expr, [$($input:ident),+], $output:expr, $state:expr) => {{
        $(let $input = $input.into_parts();)+
        let output = { $(let $input = &$input.0;)+ $output };
        let state = { $(let $input = $input.0.clone();)+ $state };
        match $step.prepare::<C>([$($input.1),+]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }};
}

impl<C: CheckpointStrategy> EncoderOps for Autodiff<Flex, C> {
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(ConvBackward, [x, weight], cpu::conv3x3(x, weight), (x, weight))
    }

    fn norm_relu(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
    ) -> FloatTensor<Self> {
        record!(
            NormBackward,
            [x, gamma, beta],
            cpu::norm_relu(x, gamma, beta, groups),
            (x, gamma, beta, groups)
        )
    }

    fn max_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(PoolBackward, [x], cpu::max_pool(x), x)
    }

    fn join(fine: FloatTensor<Self>, coarse: FloatTensor<Self>) -> FloatTensor<Self> {
        let [_, kept, ..] = fine.shape().dims::<4>();
        record!(JoinBackward, [fine, coarse], cpu::join(fine, coarse), {
            let _ = (fine, coarse);
            kept
        })
    }

    fn embed(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(EmbedBackward, [x, weight, bias], cpu::embed(x, weight, bias), (x, weight, bias))
    }

    fn dot(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(DotBackward, [x, factors], cpu::dot(x, factors), {
            let _ = x;
            factors
        })
    }
}
