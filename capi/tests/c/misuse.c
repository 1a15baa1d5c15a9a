/* What C makes of wrong arguments, and of right ones: misuse ENCODER TEMPLATE IMAGE. Every check is a line with its number. */
#include <infomark.h>

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

static void expect_(infomark_status got, infomark_status wanted, const char *call, int line) {
    if (got != wanted) {
        failures++;
        fprintf(stderr, "line %d: %s is %s, not %s (%s)\n", line, call, infomark_status_name(got),
                infomark_status_name(wanted), infomark_last_error());
    } else if (got != INFOMARK_OK && strlen(infomark_last_error()) == 0) {
        failures++;
        fprintf(stderr, "line %d: %s fails without a message\n", line, call);
    }
}

static void check_(int good, const char *what, int line) {
    if (!good) {
        failures++;
        fprintf(stderr, "line %d: not so: %s\n", line, what);
    }
}

#define expect(call, wanted) expect_(call, wanted, #call, __LINE__)
#define check(what) check_(what, #what, __LINE__)

enum { WIDTH = 40, HEIGHT = 33, STRIDE = 64 };

/* Exactly as long as it has to be, so that tools see what is beyond. */
static uint8_t *noise(void) {
    uint8_t *pixels = malloc(STRIDE * (HEIGHT - 1) + WIDTH);
    uint32_t state = 1;
    for (size_t i = 0; i < STRIDE * (HEIGHT - 1) + WIDTH; i++) {
        state = state * 1664525u + 1013904223u;
        pixels[i] = (uint8_t)(state >> 24);
    }
    return pixels;
}

static void metrics(void) {
    uint8_t *pixels = noise();
    float *values = malloc(WIDTH * HEIGHT * sizeof *values);
    float *more = malloc(WIDTH * HEIGHT * sizeof *more);
    uint8_t *bytes = malloc(WIDTH * HEIGHT);
    size_t len = 0;
    const infomark_plane image = {pixels, WIDTH, HEIGHT, STRIDE, INFOMARK_U8};
    const infomark_plane entropy = {values, WIDTH, HEIGHT, WIDTH * sizeof(float), INFOMARK_F32};
    const infomark_plane_mut out = {values, WIDTH, HEIGHT, WIDTH * sizeof(float), INFOMARK_F32};
    const infomark_plane_mut other = {more, WIDTH, HEIGHT, WIDTH * sizeof(float), INFOMARK_F32};
    const infomark_plane_mut levels = {bytes, WIDTH, HEIGHT, WIDTH, INFOMARK_U8};
    uint64_t *scratch;

    expect(infomark_entropy_scratch_len(NULL, WIDTH, HEIGHT, &len), INFOMARK_OK);
    expect(infomark_entropy_scratch_len(NULL, WIDTH, HEIGHT, NULL), INFOMARK_NULL);
    scratch = malloc(len * sizeof *scratch);
    expect(infomark_entropy_map(&image, NULL, NULL, &out, scratch, len), INFOMARK_OK);
    check(values[WIDTH * HEIGHT / 2] > 3 && values[WIDTH * HEIGHT / 2] < log(81) + 1e-5);

    infomark_plane wrong = image;
    wrong.stride_bytes = WIDTH - 1;
    expect(infomark_entropy_map(&wrong, NULL, NULL, &out, scratch, len), INFOMARK_ARGUMENT);
    wrong = image;
    wrong.data = NULL;
    expect(infomark_entropy_map(&wrong, NULL, NULL, &out, scratch, len), INFOMARK_NULL);
    wrong = image;
    wrong.pixel = 77;
    expect(infomark_entropy_map(&wrong, NULL, NULL, &out, scratch, len), INFOMARK_ARGUMENT);
    wrong = image;
    wrong.height = SIZE_MAX / 2;
    expect(infomark_entropy_map(&wrong, NULL, NULL, &out, scratch, len), INFOMARK_ARGUMENT);
    wrong = image;
    wrong.height = HEIGHT - 1;
    expect(infomark_entropy_map(&wrong, NULL, NULL, &out, scratch, len), INFOMARK_ARGUMENT);
    infomark_plane_mut odd = out;
    odd.stride_bytes = WIDTH * sizeof(float) + 1;
    expect(infomark_entropy_map(&image, NULL, NULL, &odd, scratch, len), INFOMARK_ARGUMENT);
    odd = out;
    odd.data = (char *)values + 1;
    expect(infomark_entropy_map(&image, NULL, NULL, &odd, scratch, len), INFOMARK_ARGUMENT);
    expect(infomark_entropy_map(&image, NULL, NULL, &out, scratch, len - 1), INFOMARK_ARGUMENT);
    expect(infomark_entropy_map(&image, NULL, NULL, &out, NULL, len), INFOMARK_NULL);
    expect(infomark_entropy_map(NULL, NULL, NULL, &out, scratch, len), INFOMARK_NULL);
    expect(infomark_entropy_map(&image, NULL, NULL, &out, (uint64_t *)values, len), INFOMARK_OVERLAP);
    expect(infomark_entropy_map(&image, &image, NULL, &out, scratch, len), INFOMARK_ARGUMENT);

    infomark_entropy_options options;
    memset(&options, 0, sizeof options);
    expect(infomark_entropy_map(&image, NULL, &options, &out, scratch, len), INFOMARK_ARGUMENT);
    options.struct_size = sizeof options;
    options.shape = 9;
    expect(infomark_entropy_map(&image, NULL, &options, &out, scratch, len), INFOMARK_ARGUMENT);
    /* Sizes that end within a field would take half of it; those of an older header end where one begins. */
    options.shape = INFOMARK_SQUARE;
    options.step = 1;
    options.border = INFOMARK_PATCH_CLAMP;
    for (size_t size = 0; size <= sizeof options; size++) {
        const int whole = size == sizeof options || size == offsetof(infomark_entropy_options, size) ||
                          size == offsetof(infomark_entropy_options, step) || size == offsetof(infomark_entropy_options, shape) ||
                          size == offsetof(infomark_entropy_options, border);
        options.struct_size = size;
        expect(infomark_entropy_map(&image, NULL, &options, &out, scratch, len), whole ? INFOMARK_OK : INFOMARK_ARGUMENT);
    }
    options.struct_size = sizeof options;
    /* Of a later header, with a field that is not known here. */
    struct { infomark_entropy_options known; size_t later; } grown;
    memset(&grown, 0, sizeof grown);
    grown.known.struct_size = sizeof grown;
    expect(infomark_entropy_map(&image, NULL, &grown.known, &out, scratch, len), INFOMARK_OK);
    grown.later = 1;
    expect(infomark_entropy_map(&image, NULL, &grown.known, &out, scratch, len), INFOMARK_ARGUMENT);

    infomark_thresholds thresholds;
    expect(infomark_thresholds_of(&entropy, 0.3, 0.6, &thresholds, more, WIDTH * HEIGHT), INFOMARK_OK);
    expect(infomark_thresholds_of(&entropy, 0.6, 0.3, &thresholds, more, WIDTH * HEIGHT), INFOMARK_ARGUMENT);
    expect(infomark_thresholds_of(&entropy, 0.3, 0.6, &thresholds, values, WIDTH * HEIGHT), INFOMARK_OVERLAP);
    expect(infomark_tier_map(&entropy, &thresholds, &levels), INFOMARK_OK);
    expect(infomark_tier_map(&entropy, NULL, &levels), INFOMARK_NULL);
    expect(infomark_weight_map(&entropy, INFOMARK_WEIGHT_POWER, 0.3f, &other), INFOMARK_OK);
    expect(infomark_weight_map(&entropy, INFOMARK_WEIGHT_POWER, 0.3f, &out), INFOMARK_OVERLAP);
    expect(infomark_weight_map(&entropy, INFOMARK_WEIGHT_POWER, NAN, &other), INFOMARK_ARGUMENT);

    uint32_t columns[5], rows[5];
    double *cumulative = malloc(WIDTH * HEIGHT * sizeof *cumulative);
    expect(infomark_draw_pixels(&entropy, 1, 0, 5, columns, rows, cumulative, WIDTH * HEIGHT), INFOMARK_OK);
    check(columns[4] < WIDTH && rows[4] < HEIGHT);
    expect(infomark_draw_pixels(&entropy, 1, 0, 5, columns, columns, cumulative, WIDTH * HEIGHT), INFOMARK_OVERLAP);
    expect(infomark_draw_pixels(&entropy, 1, 0, 5, columns, rows, cumulative, 3), INFOMARK_ARGUMENT);
    free(cumulative);

    size_t joint_len = infomark_joint_entropy_scratch_len(WIDTH, HEIGHT);
    uint32_t *joint = malloc(joint_len * sizeof *joint);
    infomark_joint_entropy both;
    expect(infomark_joint_entropy_of(&image, &image, &both, joint, joint_len), INFOMARK_OK);
    check(both.mutual_information == both.first && both.variation_of_information == 0);
    expect(infomark_joint_entropy_of(&image, &entropy, &both, joint, joint_len), INFOMARK_ARGUMENT);
    free(joint);

    infomark_affine map, back;
    const infomark_point centre = {20, 16};
    infomark_point points[2] = {{20, 16}, {3, 4}};
    expect(infomark_affine_around(centre, 0.3, 1.5, WIDTH, HEIGHT, &map), INFOMARK_OK);
    expect(infomark_affine_around(centre, 0.3, 0, WIDTH, HEIGHT, &map), INFOMARK_ARGUMENT);
    expect(infomark_affine_inverse(&map, &back), INFOMARK_OK);
    expect(infomark_affine_apply(&back, points, 2), INFOMARK_OK);
    check(fabs(points[0].x - 0.5 * (WIDTH - 1)) < 1e-9 && fabs(points[0].y - 0.5 * (HEIGHT - 1)) < 1e-9);
    expect(infomark_affine_apply(&back, points, SIZE_MAX), INFOMARK_ARGUMENT);
    expect(infomark_affine_then(&map, &back, &map), INFOMARK_OK);
    check(fabs(map.a - 1) < 1e-12 && fabs(map.c) < 1e-9);
    expect(infomark_view(&image, &map, INFOMARK_NEAREST, INFOMARK_BORDER_VALUE, 0, &levels), INFOMARK_OK);
    check(bytes[WIDTH + 1] == pixels[STRIDE + 1]);
    expect(infomark_view(&image, &map, 9, INFOMARK_BORDER_CLAMP, 0, &levels), INFOMARK_ARGUMENT);
    expect(infomark_view(&image, &map, INFOMARK_BICUBIC, INFOMARK_BORDER_CLAMP, 0, &out), INFOMARK_ARGUMENT);
    memset(&map, 0, sizeof map);
    expect(infomark_view(&image, &map, INFOMARK_BICUBIC, INFOMARK_BORDER_CLAMP, 0, &levels), INFOMARK_ARGUMENT);
    expect(infomark_tone(&other, 0.9f, 1.1f, 1.0f), INFOMARK_OK);
    expect(infomark_tone(&other, 0.9f, 1.1f, 0.0f), INFOMARK_ARGUMENT);
    expect(infomark_to_levels(&image, 10, 200, &levels), INFOMARK_OK);
    expect(infomark_to_levels(&image, 200, 10, &levels), INFOMARK_ARGUMENT);

    expect(infomark_local_contrast_scratch_len(NULL, WIDTH, HEIGHT, &len), INFOMARK_OK);
    float *room = malloc(len * sizeof *room);
    expect(infomark_local_contrast(&entropy, NULL, &other, room, len), INFOMARK_OK);
    expect(infomark_local_contrast(&entropy, NULL, &other, room, len - 1), INFOMARK_ARGUMENT);
    free(room);

    const double errors[4] = {1, 2, 3, 4};
    double result, resamples[100];
    infomark_interval interval;
    expect(infomark_mean(errors, 4, &result), INFOMARK_OK);
    check(result == 2.5);
    expect(infomark_mean(NULL, 0, &result), INFOMARK_ARGUMENT);
    expect(infomark_sdr(errors, 4, 3, &result), INFOMARK_OK);
    check(result == 0.5);
    expect(infomark_bootstrap_interval(errors, 4, 2, 0, 0.95, 1, &interval, resamples, 100), INFOMARK_OK);
    check(interval.low >= 1 && interval.high <= 4);
    expect(infomark_bootstrap_interval(errors, 4, 3, 0, 0.95, 1, &interval, resamples, 100), INFOMARK_ARGUMENT);
    expect(infomark_radial_error_mm(points[0], points[0], 0.1, 0, &result), INFOMARK_ARGUMENT);

    free(scratch);
    free(bytes);
    free(more);
    free(values);
    free(pixels);
}

/* What is no ensemble. */
static void ensembles(char **files) {
    infomark_ensemble *ensemble = NULL;
    infomark_ensemble_options options;
    size_t count = 0;
    double coverage = 0;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    expect(infomark_ensemble_load(NULL, NULL, &ensemble), INFOMARK_NULL);
    expect(infomark_ensemble_load(files[0], NULL, NULL), INFOMARK_NULL);
    expect(infomark_ensemble_load(files[0], &options, &ensemble), INFOMARK_FILE);
    expect(infomark_ensemble_load("no-such.infomark", &options, &ensemble), INFOMARK_FILE);
    expect(infomark_ensemble_from_bytes((const uint8_t *)"nothing", 7, "bytes", NULL, &ensemble), INFOMARK_FILE);
    options.fix_orientation = 2;
    expect(infomark_ensemble_load(files[0], &options, &ensemble), INFOMARK_ARGUMENT);
    options.fix_orientation = 0;
    options.reserved = 1;
    expect(infomark_ensemble_load(files[0], &options, &ensemble), INFOMARK_ARGUMENT);
    check(ensemble == NULL);
    expect(infomark_ensemble_count(ensemble, &count), INFOMARK_NULL);
    expect(infomark_ensemble_coverage(ensemble, &coverage), INFOMARK_NULL);
    expect(infomark_ensemble_find(ensemble, NULL, NULL, NULL, NULL, 0, NULL), INFOMARK_NULL);
    expect(infomark_ensemble_close(&ensemble), INFOMARK_OK);
}

static void handles(char **files) {
    infomark_encoder *encoder = NULL;
    infomark_template *one = NULL, *made = NULL;
    infomark_image *image = NULL, *copy = NULL;
    infomark_matcher *matcher = NULL;
    infomark_network *network = NULL;
    infomark_encoding *encoding = NULL;
    size_t width = 0, height = 0, count = 0, needed = 0;

    expect(infomark_encoder_load(NULL, &encoder), INFOMARK_NULL);
    expect(infomark_encoder_load(files[0], NULL), INFOMARK_NULL);
    expect(infomark_encoder_load("\xff\xfe", &encoder), INFOMARK_ARGUMENT);
    expect(infomark_encoder_load(files[2], &encoder), INFOMARK_FILE);
    expect(infomark_encoder_from_bytes((const uint8_t *)"nothing", 7, "bytes", &encoder), INFOMARK_FILE);
    expect(infomark_encoder_from_bytes(NULL, 0, "bytes", &encoder), INFOMARK_FILE);
    check(encoder == NULL);
    expect(infomark_encoder_load(files[0], &encoder), INFOMARK_OK);
    expect(infomark_network_load(files[0], &network), INFOMARK_FILE);
    ensembles(files);
    expect(infomark_template_load(files[0], &one), INFOMARK_FILE);
    expect(infomark_template_load(files[1], &one), INFOMARK_OK);
    expect(infomark_image_read(files[1], &image), INFOMARK_FILE);
    expect(infomark_image_read(files[2], &image), INFOMARK_OK);
    expect(infomark_image_size(image, &width, &height), INFOMARK_OK);
    check(width == 300 && height == 360);
    double x = 0, y = 0;
    expect(infomark_image_spacing_mm(image, &x, &y), INFOMARK_OK);
    check(isnan(x) && isnan(y));

    /* Another kind of handle. */
    expect(infomark_template_count((const infomark_template *)(const void *)encoder, &count), INFOMARK_HANDLE);
    expect(infomark_image_size((const infomark_image *)(const void *)one, &width, &height), INFOMARK_HANDLE);
    infomark_template *cast = (infomark_template *)(void *)encoder;
    expect(infomark_template_close(&cast), INFOMARK_HANDLE);
    expect(infomark_template_count((const infomark_template *)((const char *)one + 1), &count), INFOMARK_HANDLE);

    const infomark_template *templates[2] = {one, one};
    expect(infomark_matcher_new(encoder, templates, 0, NULL, &matcher), INFOMARK_ARGUMENT);
    expect(infomark_matcher_new(encoder, NULL, 1, NULL, &matcher), INFOMARK_NULL);
    templates[1] = NULL;
    expect(infomark_matcher_new(encoder, templates, 2, NULL, &matcher), INFOMARK_NULL);
    infomark_match_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.prior_sigma = 0.5;
    expect(infomark_matcher_new(encoder, templates, 1, &options, &matcher), INFOMARK_ARGUMENT);
    options.prior_sigma = 0;
    options.without_prior = 2;
    expect(infomark_matcher_new(encoder, templates, 1, &options, &matcher), INFOMARK_ARGUMENT);
    options.without_prior = 0;
    expect(infomark_matcher_new(encoder, templates, 1, &options, &matcher), INFOMARK_OK);
    expect(infomark_matcher_count(matcher, &count), INFOMARK_OK);
    size_t marked = 0;
    expect(infomark_template_count(one, &marked), INFOMARK_OK);
    check(count == marked && count > 1);
    const char *name = NULL;
    expect(infomark_matcher_name(matcher, count, &name), INFOMARK_ARGUMENT);
    expect(infomark_matcher_name(matcher, 0, &name), INFOMARK_OK);

    infomark_landmark landmark;
    expect(infomark_template_landmark(one, 0, &landmark), INFOMARK_OK);
    check(strcmp(landmark.name, name) == 0);
    expect(infomark_template_landmark(one, count, &landmark), INFOMARK_ARGUMENT);

    infomark_found *found = malloc(count * sizeof *found);
    expect(infomark_matcher_find(matcher, image, NULL, NULL, 0, &needed), INFOMARK_BUFFER);
    check(needed == count);
    expect(infomark_matcher_find(matcher, image, NULL, found, count - 1, NULL), INFOMARK_BUFFER);
    expect(infomark_matcher_find(matcher, image, NULL, NULL, count, NULL), INFOMARK_NULL);
    infomark_find_options limit;
    memset(&limit, 0, sizeof limit);
    limit.struct_size = sizeof limit;
    limit.time_limit_s = 1e-9;
    expect(infomark_matcher_find(matcher, image, &limit, found, count, NULL), INFOMARK_TIME_LIMIT);
    limit.time_limit_s = -1;
    expect(infomark_matcher_find(matcher, image, &limit, found, count, NULL), INFOMARK_ARGUMENT);

    /* What judges a matcher's findings. */
    infomark_judge *judge = NULL;
    infomark_judge_options trust;
    memset(&trust, 0, sizeof trust);
    trust.struct_size = sizeof trust;
    expect(infomark_judge_new(NULL, &trust, &judge), INFOMARK_NULL);
    expect(infomark_judge_new(matcher, &trust, NULL), INFOMARK_NULL);
    trust.calibration = "no such file";
    expect(infomark_judge_new(matcher, &trust, &judge), INFOMARK_FILE);
    trust.calibration = NULL;
    trust.coverage = 0.5;
    expect(infomark_judge_new(matcher, &trust, &judge), INFOMARK_ARGUMENT);
    trust.coverage = 0;
    trust.abstain_above_mm = -1;
    expect(infomark_judge_new(matcher, &trust, &judge), INFOMARK_ARGUMENT);
    trust.abstain_above_mm = 3;
    trust.has_abstain_below_score = 2;
    expect(infomark_judge_new(matcher, &trust, &judge), INFOMARK_ARGUMENT);
    trust.has_abstain_below_score = 0;
    /* Errors have no bounds without a calibration. */
    expect(infomark_judge_new(matcher, &trust, &judge), INFOMARK_ARGUMENT);
    trust.abstain_above_mm = 0;
    expect(infomark_judge_new(matcher, &trust, &judge), INFOMARK_OK);
    infomark_judged *judged = malloc(count * sizeof *judged);
    infomark_judgement judgement;
    expect(infomark_judge_find(judge, image, NULL, &judgement, judged, count - 1, &needed), INFOMARK_BUFFER);
    check(needed == count);
    expect(infomark_judge_find(judge, image, NULL, &judgement, judged, count, NULL), INFOMARK_OK);
    check(isnan(judged[0].error_bound_px));
    expect(infomark_judge_close(&judge), INFOMARK_OK);
    expect(infomark_judge_new(matcher, NULL, &judge), INFOMARK_OK);
    limit.time_limit_s = 1e-9;
    expect(infomark_judge_find(judge, image, &limit, &judgement, judged, count, NULL), INFOMARK_TIME_LIMIT);
    expect(infomark_judge_close(&judge), INFOMARK_OK);
    expect(infomark_judge_find(judge, image, NULL, NULL, judged, count, NULL), INFOMARK_NULL);
    free(judged);

    /* Memory and file are the same image. What the matcher was made of may be closed by then. */
    uint8_t *levels = malloc(300 * 360);
    const infomark_plane_mut to = {levels, 300, 360, 300, INFOMARK_U8};
    infomark_plane from = {levels, 300, 360, 300, INFOMARK_U8};
    expect(infomark_image_copy(image, &to), INFOMARK_OK);
    expect(infomark_image_from_plane(&from, NULL, &copy), INFOMARK_OK);
    expect(infomark_encoder_encode(encoder, copy, &encoding), INFOMARK_OK);
    infomark_landmark wrong[1] = {{"far", {-20, 5}}};
    expect(infomark_template_new(encoder, image, wrong, 1, &made), INFOMARK_ARGUMENT);
    wrong[0].name = NULL;
    expect(infomark_template_new(encoder, image, wrong, 1, &made), INFOMARK_NULL);
    expect(infomark_template_new(encoder, image, wrong, 0, &made), INFOMARK_ARGUMENT);
    expect(infomark_encoder_close(&encoder), INFOMARK_OK);
    expect(infomark_template_close(&one), INFOMARK_OK);
    expect(infomark_matcher_find(matcher, image, NULL, found, count, &needed), INFOMARK_OK);
    infomark_found *again = malloc(count * sizeof *again);
    expect(infomark_matcher_find_encoded(matcher, encoding, again, count, NULL), INFOMARK_OK);
    check(memcmp(found, again, count * sizeof *found) == 0);
    free(again);

    infomark_level level;
    expect(infomark_encoding_levels(encoding, &needed), INFOMARK_OK);
    expect(infomark_encoding_level(encoding, needed, &level, NULL, 0), INFOMARK_ARGUMENT);
    expect(infomark_encoding_level(encoding, needed - 1, &level, NULL, 0), INFOMARK_OK);
    float *features = malloc(level.channels * level.width * level.height * sizeof *features);
    expect(infomark_encoding_level(encoding, needed - 1, &level, features, 1), INFOMARK_BUFFER);
    expect(infomark_encoding_level(encoding, needed - 1, &level, features,
                                   level.channels * level.width * level.height), INFOMARK_OK);
    free(features);

    infomark_image *bad = NULL;
    from.height = 20;
    expect(infomark_image_from_plane(&from, NULL, &bad), INFOMARK_ARGUMENT);
    memset(levels, 7, 300 * 360);
    from.height = 360;
    expect(infomark_image_from_plane(&from, NULL, &bad), INFOMARK_ARGUMENT);
    free(levels);

    /* Closed: the pointers are null, and a second time is none of anybody's business. */
    check(encoder == NULL && one == NULL);
    expect(infomark_encoder_close(&encoder), INFOMARK_OK);
    expect(infomark_encoder_close(NULL), INFOMARK_NULL);
    expect(infomark_encoder_input_size(encoder, &width, &height), INFOMARK_NULL);
    expect(infomark_encoding_close(&encoding), INFOMARK_OK);
    expect(infomark_matcher_close(&matcher), INFOMARK_OK);
    expect(infomark_matcher_find(matcher, image, NULL, found, count, NULL), INFOMARK_NULL);
    expect(infomark_image_close(&copy), INFOMARK_OK);
    expect(infomark_image_close(&image), INFOMARK_OK);
    free(found);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: misuse ENCODER TEMPLATE IMAGE\n");
        return 2;
    }
    check(infomark_abi_version() == INFOMARK_ABI_VERSION);
    check(strcmp(infomark_last_error(), "") == 0);
    check(strcmp(infomark_status_name(99), "unknown status") == 0);
    metrics();
    handles(argv + 1);
    printf("%d failures\n", failures);
    return failures != 0;
}
