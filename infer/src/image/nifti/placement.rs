//! Placement of a slice by ITK's NIfTI reader: itk::NiftiImageIO of ITK 5.4.
//!
//! Origin and directions are those of the qform or the sform, converted from RAS to LPS; spacings are always those of
//! `pixdim`. ITK computes in single precision, and so does the choice between the two forms here.

use nifti::NiftiHeader;

use crate::{ItkGeometry, Placement, Unplaced};

/// The rows of a transform from voxels to RAS, without its last one.
type Form = [[f32; 4]; 3];

/// Code of a form in scanner coordinates.
const SCANNER: i16 = 1;
/// Tolerance of the elements of a product of rotations, for the two to be equal.
const SAME_ROTATION: f32 = 1e-4;

/// ITK's placement of the slice whose pixels run along two axes of the file.
pub(super) fn placement(header: &NiftiHeader, axes: [usize; 2]) -> Placement {
    let dimensions = dimensions(header)?;
    let [across, down] = axes;
    if across.max(down) >= dimensions.min(3) {
        return Err(Unplaced::NotSpatial);
    }
    let [_, x, y, z, ..] = header.pixdim;
    let pixdim = [x, y, z].map(|size| if size == 0.0 || !size.is_finite() { 1.0 } else { size });
    let unit_mm = match header.xyzt_units & 7 {
        1 => 1e3,
        3 => 1e-3,
        _ => 1.0,
    };
    let form = form(header, pixdim)?;
    // For a file of two axes, ITK ignores position and direction along the third.
    let spatial = dimensions.min(3);
    let to_lps = [-1.0, -1.0, 1.0];
    let mut origin = [0.0; 3];
    let mut direction = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    if let Some(form) = form {
        for row in 0..spatial {
            origin[row] = to_lps[row] * f64::from(form[row][3]) * unit_mm;
        }
        for axis in 0..spatial {
            let column = [0, 1, 2]
                .map(|row| if row < spatial { to_lps[row] * f64::from(form[row][axis]) } else { 0.0 });
            let length = column.iter().map(|part| part * part).sum::<f64>().sqrt();
            for row in 0..3 {
                direction[row][axis] = if length == 0.0 { 0.0 } else { column[row] / length };
            }
        }
    }
    let size = |axis: usize| if axis < spatial { f64::from(pixdim[axis]) * unit_mm } else { 1.0 };
    let order = [across, down, 3 - across - down];
    ItkGeometry::new(origin, order.map(size), direction.map(|row| order.map(|axis| row[axis])))
}

/// Number of axes of the file in ITK.
fn dimensions(header: &NiftiHeader) -> Result<usize, Unplaced> {
    let size = |axis: usize| header.dim.get(axis).copied().unwrap_or(0);
    let stated = usize::from(header.dim[0]);
    match header.intent_code {
        1004 => Err(Unplaced::Unreadable("NIfTI with matrices as voxels")),
        1006 => Err(Unplaced::Unreadable("NIfTI with displacements as voxels")),
        // Symmetric matrices, vectors.
        1005 | 1007 => Ok((2..=4).rev().find(|&axis| axis <= stated && size(axis) > 1).unwrap_or(1)),
        _ => Ok((4..=stated).rev().find(|&axis| size(axis) != 1).unwrap_or(stated.min(3))),
    }
}

/// The form that ITK uses; `None` where the file has neither.
fn form(header: &NiftiHeader, pixdim: [f32; 3]) -> Result<Option<Form>, Unplaced> {
    let (has_qform, has_sform) = (header.qform_code > 0, header.sform_code > 0);
    let sform = [header.srow_x, header.srow_y, header.srow_z];
    let qform = if has_qform { qform(header, pixdim) } else { scaling(pixdim) };
    Ok(match (has_qform, has_sform) {
        (false, false) => None,
        (false, true) if is_orthogonal(&sform) => Some(sform),
        (true, true) if are_equal(&sform, &qform) => Some(sform),
        (true, true) if is_orthogonal(&sform) => {
            let takes_sform = header.sform_code == SCANNER || are_similar(&sform, &qform);
            Some(if takes_sform { sform } else { qform })
        }
        (true, _) => Some(qform),
        (false, true) => return Err(Unplaced::NotOrthogonal),
    })
}

fn scaling([x, y, z]: [f32; 3]) -> Form {
    [[x, 0.0, 0.0, 0.0], [0.0, y, 0.0, 0.0], [0.0, 0.0, z, 0.0]]
}

/// The qform, computed as by nifti_quatern_to_mat44 of the NIfTI library.
fn qform(header: &NiftiHeader, pixdim: [f32; 3]) -> Form {
    let parts = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
    let squares = parts.iter().map(|part| part * part).sum::<f64>();
    // A quaternion without a real part is normalised.
    let is_unit = 1.0 - squares < 1e-7;
    let a = if is_unit { 0.0 } else { (1.0 - squares).sqrt() };
    let [b, c, d] = if is_unit { parts.map(|part| part / squares.sqrt()) } else { parts };
    let [x, y, z] = pixdim.map(|mm| if mm > 0.0 { f64::from(mm) } else { 1.0 });
    // Only the sign of pixdim[0] counts.
    let z = if header.pixdim[0] < 0.0 { -z } else { z };
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - c * c - b * b],
    ];
    let offset = [header.quatern_x, header.quatern_y, header.quatern_z];
    [0, 1, 2].map(|row| {
        let [i, j, k] = rotation[row];
        [(i * x) as f32, (j * y) as f32, (k * z) as f32, offset[row]]
    })
}

/// A column of a form, normalised unless it is 0.
fn unit_column(form: &Form, axis: usize) -> [f32; 3] {
    let column = form.map(|row| row[axis]);
    let length = length(column);
    if length == 0.0 { column } else { column.map(|part| part / length) }
}

fn length(column: [f32; 3]) -> f32 {
    column.iter().map(|part| part * part).sum::<f32>().sqrt()
}

/// Whether the axes of a form are orthogonal.
fn is_orthogonal(form: &Form) -> bool {
    let columns = [0, 1, 2].map(|axis| unit_column(form, axis));
    form.iter().flatten().all(|number| number.is_finite())
        && (0..3).all(|row| {
            (0..3).all(|other| {
                let product = columns.iter().map(|column| column[row] * column[other]).sum::<f32>();
                (product - f32::from(u8::from(row == other))).abs() <= SAME_ROTATION
            })
        })
}

fn are_equal(sform: &Form, qform: &Form) -> bool {
    let pairs = || sform.iter().zip(qform);
    let off = |axis: usize| pairs().map(move |(s, q)| (s[axis] - q[axis]).abs());
    (0..3).all(|axis| off(axis).all(|off| off <= 1e-5)) && off(3).sum::<f32>() <= 1e-7
}

/// Whether two forms have the same scales, axes and offsets. ITK compares the left singular vectors, so axes may have
/// opposite signs, and are ordered by their scales.
fn are_similar(sform: &Form, qform: &Form) -> bool {
    let near = |a: f32, b: f32| (a - b).abs() <= SAME_ROTATION;
    let sorted = |form: &Form| {
        let mut axes = [0, 1, 2].map(|axis| (length(form.map(|row| row[axis])), unit_column(form, axis)));
        axes.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        axes
    };
    let offsets = sform.iter().zip(qform).all(|(s, q)| near(s[3], q[3]));
    let mut axes = sorted(sform).into_iter().zip(sorted(qform));
    offsets
        && axes.all(|((s_length, s), (q_length, q))| {
            let along = s.iter().zip(&q).map(|(s, q)| s * q).sum::<f32>();
            near(s_length, q_length) && s.iter().zip(&q).all(|(s, q)| near(*s, q * along.signum()))
        })
}
