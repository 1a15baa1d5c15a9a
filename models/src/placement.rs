//! What places the landmarks of each model, made by `models/tools/placement.py` of a cross-validation on the images that its network was trained on.

use infomark_infer::Member;

/// What places each landmark of the [`ensemble`](crate::PretrainedModel::ensemble) of a model, and how far off it may be.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PretrainedPlacement {
    /// Fraction of errors within their bound, 0 to 1.
    pub coverage: f64,
    /// Each landmark with the member that places it and the factor of its error bound, as
    /// [`EnsembleBounds`](infomark_infer::EnsembleBounds) has it, in the order of the network.
    pub landmarks: &'static [(&'static str, Member, f64)],
}

/// Of the 150 images of `isbi-train`, four folds.
pub(crate) static CEPH: PretrainedPlacement = PretrainedPlacement {
    coverage: 0.9,
    landmarks: &[
        ("sella", Member::Fusion, 0.686),
        ("nasion", Member::Network, 0.937),
        ("orbitale", Member::Fusion, 1.021),
        ("porion", Member::Fusion, 1.262),
        ("subspinale", Member::Network, 0.737),
        ("supramentale", Member::Fusion, 0.909),
        ("pogonion", Member::Fusion, 0.736),
        ("menton", Member::Fusion, 0.707),
        ("gnathion", Member::Fusion, 0.605),
        ("gonion", Member::Network, 1.063),
        ("lower_incisor", Member::Network, 0.785),
        ("upper_incisor", Member::Network, 0.738),
        ("upper_lip", Member::Network, 0.628),
        ("lower_lip", Member::Network, 0.626),
        ("subnasale", Member::Network, 0.920),
        ("soft_pogonion", Member::Fusion, 0.884),
        ("posterior_nasal_spine", Member::Network, 0.765),
        ("anterior_nasal_spine", Member::Network, 1.005),
        ("articulare", Member::Network, 1.160),
    ],
};

/// Of the 104 images of `chest-train`, four folds.
pub(crate) static CHEST: PretrainedPlacement = PretrainedPlacement {
    coverage: 0.9,
    landmarks: &[
        ("right_lung_apex", Member::Fusion, 1.763),
        ("right_costophrenic", Member::Network, 1.290),
        ("right_cardiophrenic", Member::Network, 1.239),
        ("left_lung_apex", Member::Network, 1.208),
        ("left_costophrenic", Member::Network, 1.067),
        ("left_cardiophrenic", Member::Network, 2.908),
        ("right_clavicle_0", Member::Network, 0.926),
        ("right_clavicle_1", Member::Network, 1.185),
        ("right_clavicle_2", Member::Network, 1.243),
        ("right_clavicle_3", Member::Network, 0.816),
        ("left_clavicle_0", Member::Network, 0.934),
        ("left_clavicle_1", Member::Network, 1.097),
        ("left_clavicle_2", Member::Network, 1.298),
        ("left_clavicle_3", Member::Network, 0.851),
    ],
};
