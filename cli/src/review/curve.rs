//! Learning curve: held-out error and corrections against the number of accepted images.

use anyhow::Result;
use infomark_figures::{Chart, Dot, Series, Style, draw_narrow_charts};

use super::rounds::{Length, Round};

/// Both curves, as SVG.
pub(super) fn svg(rounds: &[Round]) -> Result<String> {
    let note = format!("infomark {}", env!("CARGO_PKG_VERSION"));
    Ok(draw_narrow_charts(&charts(rounds), &note).to_svg()?)
}

fn charts(rounds: &[Round]) -> [Chart; 2] {
    let errors = |round: &Round| {
        let errors = &round.errors;
        [errors.templates, errors.network, errors.fusion, errors.chosen]
    };
    let in_mm = rounds.iter().flat_map(errors).flatten().all(|error| error.mm.is_some());
    let value = |length: Length| if in_mm { length.mm } else { Some(length.px) };
    let series = |index: usize, name: &str, points: Vec<(f64, f64)>| Series {
        style: Style::Dotted,
        points: points.into_iter().map(|(x, y)| Dot { x, y, interval: None }).collect(),
        ..Series::line(name, index, [])
    };
    let member = |(index, name): (usize, &&str)| {
        let at = |round: &Round| Some((round.images as f64, value((*errors(round).get(index)?)?)?));
        series(index, name, rounds.iter().filter_map(at).collect())
    };
    let names = ["templates", "network", "fusion", "chosen"];
    let errors_by_member: Vec<Series> = names.iter().enumerate().map(member).collect();
    let moved = vec![series(6, "corrections", corrections(rounds))];
    let x_label = "accepted images";
    [
        Chart {
            title: "Held-out error".into(),
            x_label: x_label.into(),
            y_label: if in_mm { "mm" } else { "pixels" }.into(),
            y_range: from_zero(&errors_by_member),
            series: errors_by_member,
            x_whole: true,
            height: 280,
            ..Chart::default()
        },
        Chart {
            title: "Corrections per image".into(),
            x_label: x_label.into(),
            y_label: "points".into(),
            y_range: from_zero(&moved),
            series: moved,
            x_whole: true,
            height: 220,
            ..Chart::default()
        },
    ]
}

/// Range of a y axis from 0, with some room above the points; `None` without points above 0.
fn from_zero(series: &[Series]) -> Option<[f64; 2]> {
    let most = series.iter().flat_map(|series| &series.points).map(|dot| dot.y).fold(0.0, f64::max);
    (most > 0.0).then_some([0.0, 1.1 * most])
}

/// Mean number of points placed or moved per image accepted since the previous round, at each round's number of accepted images; rounds
/// without further images have none.
fn corrections(rounds: &[Round]) -> Vec<(f64, f64)> {
    let before = std::iter::once((0, 0)).chain(rounds.iter().map(|round| (round.images, round.by_hand)));
    let each = rounds.iter().zip(before).filter(|(round, (images, _))| round.images > *images);
    let each = each.map(|(round, (images, by_hand))| {
        let moved = round.by_hand.saturating_sub(by_hand) as f64;
        (round.images as f64, moved / (round.images - images) as f64)
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::rounds::HeldOutErrors;

    fn round(images: usize, by_hand: usize, mm: Option<f64>) -> Round {
        let error = Some(Length { px: 3.0, mm });
        let errors = HeldOutErrors { templates: error, network: error, fusion: None, chosen: error };
        Round { images, by_hand, errors, ..Round::default() }
    }

    #[test]
    fn corrections_are_those_of_the_images_since_the_round_before() {
        let rounds = [round(5, 50, None), round(5, 52, None), round(9, 60, None), round(8, 60, None)];
        assert_eq!(corrections(&rounds), [(5.0, 10.0), (9.0, 2.0)]);
    }

    #[test]
    fn errors_are_in_mm_where_all_rounds_have_them() -> Result<()> {
        let [errors, _] = charts(&[round(5, 50, Some(0.5)), round(9, 60, Some(0.4))]);
        assert_eq!((errors.y_label.as_str(), errors.series[3].points[1].y), ("mm", 0.4));
        let [errors, _] = charts(&[round(5, 50, Some(0.5)), round(9, 60, None)]);
        assert_eq!((errors.y_label.as_str(), errors.series[3].points[1].y), ("pixels", 3.0));
        assert_eq!(errors.series[2].points.len(), 0);
        let svg = svg(&[round(5, 50, None)])?;
        assert!(svg.contains("Held-out error") && svg.contains("Corrections per image"));
        Ok(())
    }
}
