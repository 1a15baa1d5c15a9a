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
        ("sella", Member::Fusion, 0.703),
        ("nasion", Member::Network, 0.943),
        ("orbitale", Member::Fusion, 1.041),
        ("porion", Member::Network, 1.222),
        ("subspinale", Member::Network, 0.722),
        ("supramentale", Member::Fusion, 0.910),
        ("pogonion", Member::Fusion, 0.750),
        ("menton", Member::Fusion, 0.704),
        ("gnathion", Member::Fusion, 0.591),
        ("gonion", Member::Network, 1.071),
        ("lower_incisor", Member::Network, 0.799),
        ("upper_incisor", Member::Network, 0.714),
        ("upper_lip", Member::Network, 0.591),
        ("lower_lip", Member::Network, 0.631),
        ("subnasale", Member::Network, 0.914),
        ("soft_pogonion", Member::Fusion, 0.919),
        ("posterior_nasal_spine", Member::Network, 0.743),
        ("anterior_nasal_spine", Member::Network, 1.025),
        ("articulare", Member::Network, 1.103),
    ],
};

/// Of the 104 images of `chest-train`, four folds.
pub(crate) static CHEST: PretrainedPlacement = PretrainedPlacement {
    coverage: 0.9,
    landmarks: &[
        ("right_lung_apex", Member::Fusion, 1.792),
        ("right_costophrenic", Member::Network, 1.185),
        ("right_cardiophrenic", Member::Network, 1.215),
        ("left_lung_apex", Member::Network, 1.150),
        ("left_costophrenic", Member::Network, 0.941),
        ("left_cardiophrenic", Member::Network, 3.519),
        ("right_clavicle_0", Member::Network, 0.940),
        ("right_clavicle_1", Member::Network, 1.275),
        ("right_clavicle_2", Member::Network, 1.290),
        ("right_clavicle_3", Member::Network, 0.817),
        ("left_clavicle_0", Member::Network, 0.856),
        ("left_clavicle_1", Member::Network, 1.144),
        ("left_clavicle_2", Member::Network, 1.320),
        ("left_clavicle_3", Member::Network, 0.864),
    ],
};
