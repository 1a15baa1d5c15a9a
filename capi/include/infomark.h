/*
 * libinfomark: finds the same anatomical landmarks in every radiograph, from one annotated image.
 * For research. It is not a medical device.
 *
 * Terms of every function:
 *
 * - It returns INFOMARK_OK, or the status of an error; infomark_last_error() then returns a message. No function
 *   aborts, throws or prints on wrong arguments. The content of buffers after a failed call is unspecified.
 * - A pointer is null, or points to as many elements as the arguments beside it say. Null is an error (INFOMARK_NULL)
 *   unless stated otherwise, and except for arrays of no elements. Memory that a call writes must not overlap other memory of the call
 *   (INFOMARK_OVERLAP for pixels and scratch).
 * - Buffers belong to the caller and may be uninitialised before they are written; option structures store their size
 *   (struct_size), so that they can grow: fill them with zeros, set struct_size to sizeof, then the fields that differ from the default.
 * - Objects are handles, opened by functions with an `out` and closed by `..._close(&handle)`, which sets the pointer to
 *   null: closing twice is not an error, using it then is INFOMARK_NULL. A handle of another type is INFOMARK_HANDLE. A copy of a
 *   pointer that was closed elsewhere points to freed memory: most uses are detected (INFOMARK_HANDLE), but as with free()
 *   this is not guaranteed.
 * - Texts are UTF-8 and end with a zero byte. Paths, too, on every system.
 * - There is no global state. All functions may be called from any number of threads at once, even with the same handles, as
 *   long as no thread closes a handle, or writes a buffer, that another uses. None starts threads. Error messages are
 *   per thread.
 * - Functions on planes, from infomark_to_levels to infomark_bootstrap_interval, allocate no memory, not even on failure.
 */

#ifndef INFOMARK_H
#define INFOMARK_H

/* Written by cbindgen from capi/src; `UPDATE_HEADER=1 cargo test -p infomark-capi --test header` writes it again. */

#include <stddef.h>
#include <stdint.h>

// Version of the binary interface of this header. It increases when existing binaries would no
// longer work; new functions, and new fields at the end of structures with a struct_size, do not change it.
#define INFOMARK_ABI_VERSION 1

// Squares of a given side; the default.
#define INFOMARK_SQUARE 0

// Disks of a given radius: pixels whose centres are at most that far away.
#define INFOMARK_DISK 1

// Windows are cropped at the image's border; the default.
#define INFOMARK_PATCH_CUT 0

// The border is mirrored at the outer edges of its pixels.
#define INFOMARK_PATCH_MIRROR 1

// The border pixels are replicated.
#define INFOMARK_PATCH_CLAMP 2

// Weights are the entropy to the power of a parameter of at least 0.
#define INFOMARK_WEIGHT_POWER 0

// Weights are 1 where the entropy is at least the parameter, and 0 elsewhere.
#define INFOMARK_WEIGHT_CUT 1

// Nearest neighbour.
#define INFOMARK_NEAREST 0

// Bilinear.
#define INFOMARK_BILINEAR 1

// Bicubic: cubic convolution of 16 pixels (Keys 1981, a = -1/2).
#define INFOMARK_BICUBIC 2

// Constant value outside the source.
#define INFOMARK_BORDER_VALUE 0

// The border pixels are replicated outside the source.
#define INFOMARK_BORDER_CLAMP 1

// The source is mirrored at the outer edges of its border pixels.
#define INFOMARK_BORDER_MIRROR 2

// Status of a call. Unless it is INFOMARK_OK, infomark_last_error describes the problem.
typedef enum infomark_status {
    // Success.
    INFOMARK_OK = 0,
    // A pointer is null that must not be, e.g. a closed handle.
    INFOMARK_NULL = 1,
    // A pointer is not an open handle of the expected type.
    INFOMARK_HANDLE = 2,
    // A value, size, stride, alignment or text is unusable.
    INFOMARK_ARGUMENT = 3,
    // Memory for writing overlaps other memory of the call.
    INFOMARK_OVERLAP = 4,
    // A buffer is too short; the needed length is returned if the function has an output for it.
    INFOMARK_BUFFER = 5,
    // A file, or its bytes, is missing, damaged or of the wrong type.
    INFOMARK_FILE = 6,
    // Encoder, template and image do not belong together.
    INFOMARK_MISMATCH = 7,
    // The time limit was exceeded.
    INFOMARK_TIME_LIMIT = 8,
    // The encoder or network could not be run.
    INFOMARK_RUN = 9,
    // A defect of the library, which was contained; please report its message.
    INFOMARK_PANIC = 10,
} infomark_status;

// An encoder: a network from images to feature maps.
typedef struct infomark_encoder infomark_encoder;

// The features of one image, for any number of matchers.
typedef struct infomark_encoding infomark_encoding;

// An ensemble of templates and landmark networks: one of them, or their product, places each landmark.
typedef struct infomark_ensemble infomark_ensemble;

// A grey image with values from 0 (black) to 1, of at least 32 pixels a side.
typedef struct infomark_image infomark_image;

// A matcher with error bounds, if it has a calibration, and abstention from landmarks that should not be
// used.
typedef struct infomark_judge infomark_judge;

// A landmark matcher: an encoder with templates.
typedef struct infomark_matcher infomark_matcher;

// A landmark network: from images to landmarks.
typedef struct infomark_network infomark_network;

// A template: the landmark features of one annotated image.
typedef struct infomark_template infomark_template;

// Shape of a feature map.
typedef struct infomark_level {
    // Number of channels.
    size_t channels;
    // Width in cells.
    size_t width;
    // Height in cells.
    size_t height;
    // Stride in pixels of the model input.
    size_t stride;
} infomark_level;

// Options of loading an ensemble. Zero means the default, for every field.
typedef struct infomark_ensemble_options {
    // sizeof(infomark_ensemble_options).
    size_t struct_size;
    // 1: images are rotated by quarter turns, or mirrored, to the templates' orientation before the search.
    uint32_t fix_orientation;
    // Zero.
    uint32_t reserved;
} infomark_ensemble_options;

// Options of searching one image. Zero means the default, for every field.
typedef struct infomark_find_options {
    // sizeof(infomark_find_options).
    size_t struct_size;
    // Seconds after which the encoder is aborted with INFOMARK_TIME_LIMIT, checked every few milliseconds; 0 for none.
    double time_limit_s;
} infomark_find_options;

// Recognition of an image.
typedef struct infomark_recognition {
    // Fraction of 200 keypoints of the template that are inliers of one affine map onto the image, 0 to 1.
    double inlier_fraction;
    // 1 where the image shows the template's anatomy; otherwise its landmarks are meaningless.
    uint32_t recognised;
    // 1 where the image is mirrored horizontally relative to the template.
    uint32_t mirrored;
    // Number of quarter turns, clockwise on screen, after the mirroring; 0 to 3.
    uint32_t quarter_turns;
} infomark_recognition;

// Judgement of an image as a whole.
typedef struct infomark_judgement {
    // Similarity of the image to the templates, and its orientation.
    struct infomark_recognition recognition;
    // 1 where it was reoriented to the templates' orientation before the search.
    uint32_t reoriented;
} infomark_judgement;

// A position in pixels: the centre of the first pixel is at (0, 0), x goes right, y down.
typedef struct infomark_point {
    // Column.
    double x;
    // Row.
    double y;
} infomark_point;

// Member of an ensemble that places a landmark; an `infomark_member` is one of these numbers.
typedef uint32_t infomark_member;

// A landmark found by an ensemble.
typedef struct infomark_ensemble_landmark {
    // Position in pixels of the original image.
    struct infomark_point at;
    // For INFOMARK_NETWORK and INFOMARK_FUSION, probability of the networks' heat map around it, 0 to 1; for INFOMARK_TEMPLATES, mean
    // cosine, -1 to 1.
    double score;
    // Distance between the templates' and the networks' positions, in pixels of the image: large where one of them is wrong.
    double disagreement_px;
    // Error bound in pixels of the image, with the ensemble's coverage; NaN where the ensemble has no bounds.
    double error_bound_px;
    // Error bound in mm; NaN also where the pixel size is unknown.
    double error_bound_mm;
    // The member used.
    infomark_member member;
    // 1 where it should not be used: the image is not recognised, or is in another orientation than the templates and was not reoriented.
    uint32_t abstain;
} infomark_ensemble_landmark;

// Pixel type: one of INFOMARK_U8, INFOMARK_U16, INFOMARK_F32.
typedef uint32_t infomark_pixel;

// A grey image in the caller's memory, for reading: rows from top to bottom, pixels from left to right.
//
// A crop is also one: data points to its first pixel, stride_bytes stays that of the whole image.
typedef struct infomark_plane {
    // The first pixel, aligned to a pixel's size. May be null without pixels.
    const void *data;
    // Width in pixels.
    size_t width;
    // Height in pixels.
    size_t height;
    // Row stride in bytes: a multiple of a pixel's size, at least width of them. Padding between rows
    // is ignored.
    size_t stride_bytes;
    // Pixel type.
    infomark_pixel pixel;
} infomark_plane;

// Options of an image from memory. Zero means the default, for every field.
typedef struct infomark_image_options {
    // sizeof(infomark_image_options).
    size_t struct_size;
    // Name of the image in messages; "image" if null.
    const char *name;
    // Grey level shown as black, and that shown as white; values beyond are clamped, and black may be the larger
    // one (MONOCHROME1). If both are 0, the range of bytes is 0 to 255, and other types are rescaled between their
    // 0.1 and 99.9 percentiles, as files of 16 bits are.
    double black;
    // As black.
    double white;
    // Pixel spacing in x, in millimetres; 0 if unknown. It is kept with the image.
    double spacing_x_mm;
    // Pixel spacing in y, in millimetres.
    double spacing_y_mm;
} infomark_image_options;

// A grey image in the caller's memory, for writing; as infomark_plane. Padding between rows is unchanged.
typedef struct infomark_plane_mut {
    // The first pixel, aligned to a pixel's size.
    void *data;
    // Width in pixels.
    size_t width;
    // Height in pixels.
    size_t height;
    // Row stride in bytes.
    size_t stride_bytes;
    // Pixel type.
    infomark_pixel pixel;
} infomark_plane_mut;

// Options of abstention and error bounds. Zero means the default, for every field.
typedef struct infomark_judge_options {
    // sizeof(infomark_judge_options).
    size_t struct_size;
    // File of `infomark calibrate`, for the same encoder, templates and matching options; null for no
    // error bounds.
    const char *calibration;
    // Coverage: fraction of errors within their bound, 0 to 1; needs a calibration. 0.9 by default.
    double coverage;
    // Abstain from landmarks with a larger error bound, in mm; needs a calibration, and images with a pixel size. 0 for
    // no threshold.
    double abstain_above_mm;
    // Abstain from landmarks with a lower score, -1 to 1, if has_abstain_below_score is 1.
    double abstain_below_score;
    // 1: abstain_below_score is used.
    uint32_t has_abstain_below_score;
    // 1: images are rotated by quarter turns, or mirrored, to the templates' orientation before the search.
    uint32_t fix_orientation;
} infomark_judge_options;

// A matched landmark with its confidence. Lengths are in pixels of the original image; NaN where unknown.
typedef struct infomark_found {
    // Position; always within the image.
    struct infomark_point at;
    // Mean cosine between the features of template and image at this position, -1 to 1. It ranks positions; it is not a probability.
    double score;
    // Score gap to the best peak elsewhere.
    double margin;
    // Cycle-consistency error: distance from the landmark after matching back into the template.
    double cycle_error;
    // Distance to the prior, i.e. the landmark's position by robust alignment.
    double prior;
    // Relative size of the error, from score and margin; above 0. It ranks the landmarks of an image; it is not
    // a bound.
    double scale;
} infomark_found;

// A landmark with its error bound and abstention.
typedef struct infomark_judged {
    // The landmark.
    struct infomark_found found;
    // Error bound in pixels of the original image; NaN where the judge has no
    // calibration.
    double error_bound_px;
    // Error bound in mm; NaN also where the pixel size is unknown.
    double error_bound_mm;
    // 1 where it should not be used: its bound or score is beyond the threshold, or the image is not recognised, or has another
    // orientation than the templates and was not reoriented.
    uint32_t abstain;
} infomark_judged;

// Options of matching. Zero means the default, for every field.
typedef struct infomark_match_options {
    // sizeof(infomark_match_options).
    size_t struct_size;
    // 1: no voting by points around a landmark.
    uint32_t without_neighbours;
    // 1: no prior by robust alignment.
    uint32_t without_prior;
    // Standard deviation of the Gaussian prior around a landmark's predicted position, in pixels of the model input, at
    // least 1; 12 by default.
    double prior_sigma;
} infomark_match_options;

// Options of an entropy map. Zero means the default, for every field.
typedef struct infomark_entropy_options {
    // sizeof(infomark_entropy_options).
    size_t struct_size;
    // Side of squares in pixels, 9 by default; radius of disks.
    size_t size;
    // Every step-th pixel of every step-th row, from the first on; 1 by default.
    size_t step;
    // INFOMARK_SQUARE or INFOMARK_DISK.
    uint32_t shape;
    // INFOMARK_PATCH_CUT, INFOMARK_PATCH_MIRROR or INFOMARK_PATCH_CLAMP.
    uint32_t border;
} infomark_entropy_options;

// Entropies of two patches and their joint entropy, in nats, with derived quantities.
typedef struct infomark_joint_entropy {
    // H(A), entropy of the first patch.
    double first;
    // H(B), entropy of the second patch.
    double second;
    // H(A, B), joint entropy.
    double joint;
    // I(A; B) = H(A) + H(B) - H(A, B).
    double mutual_information;
    // H(A | B) = H(A, B) - H(B).
    double first_given_second;
    // H(B | A) = H(A, B) - H(A).
    double second_given_first;
    // Variation of information, H(A | B) + H(B | A), a distance.
    double variation_of_information;
    // 2 I(A; B) / (H(A) + H(B)), from 0 to 1.
    double normalized_mutual_information;
    // (H(A) + H(B)) / H(A, B), from 1 to 2 (Studholme 1999).
    double studholme;
} infomark_joint_entropy;

// Minimum entropies of the medium and of the high tier, in nats.
typedef struct infomark_thresholds {
    // Minimum entropy of the medium tier.
    float medium;
    // Minimum entropy of the high tier.
    float high;
} infomark_thresholds;

// Options of local contrast normalisation. Zero means the default, for every field: that of training.
typedef struct infomark_contrast_options {
    // sizeof(infomark_contrast_options).
    size_t struct_size;
    // Standard deviation of the neighbourhood in pixels, at most 1024; by default a sixteenth of the longer side.
    double sigma_px;
    // Output for one local standard deviation; 0.2 by default.
    double gain;
    // Added to the local standard deviation, in units of the image; 0.02 by default.
    double floor;
} infomark_contrast_options;

// A landmark located by a landmark network.
typedef struct infomark_located {
    // Position in pixels of the original image; always within the image.
    struct infomark_point at;
    // Probability of the heat map around the position, 0 to 1: the network's own estimate, not the fraction of correct points.
    double probability;
} infomark_located;

// Confidence interval.
typedef struct infomark_interval {
    // Lower end.
    double low;
    // Upper end.
    double high;
} infomark_interval;

// A named point of an image, in pixels.
typedef struct infomark_landmark {
    // Name, such as "sella"; not empty, and unique.
    const char *name;
    // Position: the centre of the first pixel is at (0, 0), x goes right, y down.
    struct infomark_point at;
} infomark_landmark;

// Affine map from a view to its source, in pixels: x' = a x + b y + c, y' = d x + e y + f.
typedef struct infomark_affine {
    // Coefficient of x in x'.
    double a;
    // Coefficient of y in x'.
    double b;
    // Translation of x'.
    double c;
    // Coefficient of x in y'.
    double d;
    // Coefficient of y in y'.
    double e;
    // Translation of y'.
    double f;
} infomark_affine;

// The templates.
#define INFOMARK_TEMPLATES 1

// The landmark networks.
#define INFOMARK_NETWORK 2

// Both: the product of the networks' heat map and the templates' score map.
#define INFOMARK_FUSION 3

// uint8_t.
#define INFOMARK_U8 1

// uint16_t, in the machine's byte order.
#define INFOMARK_U16 2

// float.
#define INFOMARK_F32 3

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Version of the library's binary interface. Compare it with INFOMARK_ABI_VERSION first if the library
// is loaded at run time.
uint32_t infomark_abi_version(void);

// The library's version, such as "0.1.0"; never freed.
const char *infomark_version(void);

// Loads an encoder: an ONNX file that `infomark train` wrote.
enum infomark_status infomark_encoder_load(const char *path, struct infomark_encoder **out);

// infomark_encoder_load for a file in memory; name is its name in messages.
enum infomark_status infomark_encoder_from_bytes(const uint8_t *bytes,
                                                 size_t len,
                                                 const char *name,
                                                 struct infomark_encoder **out);

// The size in pixels of an encoder's model input, which images are letterboxed to.
enum infomark_status infomark_encoder_input_size(const struct infomark_encoder *encoder,
                                                 size_t *width,
                                                 size_t *height);

// SHA-256 of an encoder's file, in lower-case hexadecimal. The text belongs to the encoder and is freed with it.
enum infomark_status infomark_encoder_sha256(const struct infomark_encoder *encoder,
                                             const char **sha256);

// Closes an encoder and sets the pointer to null; null is ignored. Matchers made with it stay valid.
enum infomark_status infomark_encoder_close(struct infomark_encoder **encoder);

// Computes the features of an image. It takes most of the time of matching: with infomark_matcher_find_encoded several
// matchers share it.
enum infomark_status infomark_encoder_encode(const struct infomark_encoder *encoder,
                                             const struct infomark_image *image,
                                             struct infomark_encoding **out);

// Number of levels of an encoding; the first is the finest.
enum infomark_status infomark_encoding_levels(const struct infomark_encoding *encoding, size_t *count);

// The shape of a level, and its features of length 1 in the order channel, row, column. If len is less than their number, nothing is
// copied, the shape is returned all the same, and the status is INFOMARK_BUFFER unless features is null.
enum infomark_status infomark_encoding_level(const struct infomark_encoding *encoding,
                                             size_t index,
                                             struct infomark_level *shape,
                                             float *features,
                                             size_t len);

// Closes an encoding and sets the pointer to null; null is ignored.
enum infomark_status infomark_encoding_close(struct infomark_encoding **encoding);

// Loads an ensemble: a file ending in .infomark, written by `infomark loop` or *Save as* of `infomark review`. options may be null for the
// defaults.
enum infomark_status infomark_ensemble_load(const char *path,
                                            const struct infomark_ensemble_options *options,
                                            struct infomark_ensemble **out);

// infomark_ensemble_load for a file in memory; name is its name in messages.
enum infomark_status infomark_ensemble_from_bytes(const uint8_t *bytes,
                                                  size_t len,
                                                  const char *name,
                                                  const struct infomark_ensemble_options *options,
                                                  struct infomark_ensemble **out);

// Number of landmarks of an ensemble.
enum infomark_status infomark_ensemble_count(const struct infomark_ensemble *ensemble, size_t *count);

// The name of a landmark. The text belongs to the ensemble and is freed with it.
enum infomark_status infomark_ensemble_name(const struct infomark_ensemble *ensemble,
                                            size_t index,
                                            const char **name);

// Coverage of the error bounds: fraction of errors within their bound, 0 to 1; NaN where an ensemble has no bounds.
enum infomark_status infomark_ensemble_coverage(const struct infomark_ensemble *ensemble,
                                                double *coverage);

// Finds the landmarks in an image, as infomark_judge_find does. judgement may be null.
enum infomark_status infomark_ensemble_find(const struct infomark_ensemble *ensemble,
                                            const struct infomark_image *image,
                                            const struct infomark_find_options *options,
                                            struct infomark_judgement *judgement,
                                            struct infomark_ensemble_landmark *found,
                                            size_t capacity,
                                            size_t *count);

// Closes an ensemble and sets the pointer to null; null is ignored.
enum infomark_status infomark_ensemble_close(struct infomark_ensemble **ensemble);

// Reads an image file: DICOM, PNG, TIFF, JPEG, BMP, PGM or a NIfTI slice, detected by content.
enum infomark_status infomark_image_read(const char *path, struct infomark_image **out);

// infomark_image_read for a file in memory; name is its name in messages.
enum infomark_status infomark_image_from_bytes(const uint8_t *bytes,
                                               size_t len,
                                               const char *name,
                                               struct infomark_image **out);

// Copies an image from memory. options may be null for the defaults.
enum infomark_status infomark_image_from_plane(const struct infomark_plane *plane,
                                               const struct infomark_image_options *options,
                                               struct infomark_image **out);

// The size of an image in pixels.
enum infomark_status infomark_image_size(const struct infomark_image *image, size_t *width, size_t *height);

// The pixel spacing of an image in millimetres, as stated in its file or given; NaN if unknown. That of a DICOM
// file may be at the detector, not in the patient: docs/formats.md.
enum infomark_status infomark_image_spacing_mm(const struct infomark_image *image,
                                               double *x,
                                               double *y);

// Copies an image's pixels, from 0 to 1, into a plane of INFOMARK_F32 and of its size; or, times 255 and rounded, into one of
// INFOMARK_U8, the input of the entropy.
enum infomark_status infomark_image_copy(const struct infomark_image *image,
                                         const struct infomark_plane_mut *out);

// Closes an image and sets the pointer to null; null is ignored.
enum infomark_status infomark_image_close(struct infomark_image **image);

// Makes a judge from a matcher, which may be closed afterwards. options may be null for the defaults. A calibration for another
// encoder, other templates or options is INFOMARK_MISMATCH.
enum infomark_status infomark_judge_new(const struct infomark_matcher *matcher,
                                        const struct infomark_judge_options *options,
                                        struct infomark_judge **out);

// Finds the landmarks in an image as infomark_matcher_find does, and judges them. judgement may be null. If recognition is uncertain, the
// image is also encoded mirrored and rotated, which may take up to eight times as long as infomark_matcher_find.
enum infomark_status infomark_judge_find(const struct infomark_judge *judge,
                                         const struct infomark_image *image,
                                         const struct infomark_find_options *options,
                                         struct infomark_judgement *judgement,
                                         struct infomark_judged *found,
                                         size_t capacity,
                                         size_t *count);

// Closes a judge and sets the pointer to null; null is ignored.
enum infomark_status infomark_judge_close(struct infomark_judge **judge);

// Makes a matcher from an encoder and count templates that it made, at least one; a landmark of several templates is matched with all
// of them. The handles may be closed afterwards. options may be null for the defaults.
enum infomark_status infomark_matcher_new(const struct infomark_encoder *encoder,
                                          const struct infomark_template *const *templates,
                                          size_t count,
                                          const struct infomark_match_options *options,
                                          struct infomark_matcher **out);

// Number of landmarks of a matcher.
enum infomark_status infomark_matcher_count(const struct infomark_matcher *matcher, size_t *count);

// The name of a landmark, in order of detection: those of the first template, then those added by the second, and so on. The text
// belongs to the matcher and is freed with it.
enum infomark_status infomark_matcher_name(const struct infomark_matcher *matcher,
                                           size_t index,
                                           const char **name);

// Finds the landmarks in an image. found receives as many as infomark_matcher_count returns; capacity is its length, and count, which
// may be null, receives the number needed. options may be null for the defaults.
//
// It uses only the calling thread; call it from several threads for several images.
enum infomark_status infomark_matcher_find(const struct infomark_matcher *matcher,
                                           const struct infomark_image *image,
                                           const struct infomark_find_options *options,
                                           struct infomark_found *found,
                                           size_t capacity,
                                           size_t *count);

// infomark_matcher_find for an image already encoded by the same encoder.
enum infomark_status infomark_matcher_find_encoded(const struct infomark_matcher *matcher,
                                                   const struct infomark_encoding *encoding,
                                                   struct infomark_found *found,
                                                   size_t capacity,
                                                   size_t *count);

// Recognises the templates' anatomy in an image, and its orientation. It encodes the image and, if recognition is uncertain, also its
// mirrored and rotated versions, so it may take up to eight times as long as infomark_matcher_find. options may be null.
enum infomark_status infomark_matcher_recognise(const struct infomark_matcher *matcher,
                                                const struct infomark_image *image,
                                                const struct infomark_find_options *options,
                                                struct infomark_recognition *out);

// Closes a matcher and sets the pointer to null; null is ignored.
enum infomark_status infomark_matcher_close(struct infomark_matcher **matcher);

// Rescales grey levels linearly to 256 levels: low becomes 0, high 255, values outside are clamped.
// image is of INFOMARK_U8 or INFOMARK_U16; out is of INFOMARK_U8 and of the same size.
enum infomark_status infomark_to_levels(const struct infomark_plane *image,
                                        uint16_t low,
                                        uint16_t high,
                                        const struct infomark_plane_mut *out);

// Number of uint64_t of scratch for infomark_entropy_map for an image of this size. options may be null for the defaults.
enum infomark_status infomark_entropy_scratch_len(const struct infomark_entropy_options *options,
                                                  size_t width,
                                                  size_t height,
                                                  size_t *len);

// Entropy of the grey levels around each pixel, in nats: -sum of P(g) ln P(g) over the 256 levels g.
//
// image is of INFOMARK_U8; out is of INFOMARK_F32, its sides those of the image over the step, rounded up. mask may be null;
// else it is of INFOMARK_U8 and of the image's size, 1 where a pixel is counted and 0 where not. scratch holds at
// least infomark_entropy_scratch_len elements of any content. options may be null for the defaults. The same input gives the same bits
// on every machine.
enum infomark_status infomark_entropy_map(const struct infomark_plane *image,
                                          const struct infomark_plane *mask,
                                          const struct infomark_entropy_options *options,
                                          const struct infomark_plane_mut *out,
                                          uint64_t *scratch,
                                          size_t scratch_len);

// Number of uint32_t of scratch for infomark_joint_entropy_of for patches of this size.
size_t infomark_joint_entropy_scratch_len(size_t width, size_t height);

// Joint entropy and mutual information of two non-empty patches of INFOMARK_U8 and of the same size, by their 256 grey levels.
enum infomark_status infomark_joint_entropy_of(const struct infomark_plane *first,
                                               const struct infomark_plane *second,
                                               struct infomark_joint_entropy *out,
                                               uint32_t *scratch,
                                               size_t scratch_len);

// Thresholds as quantiles: the fraction medium of the pixels is below the medium tier, and the fraction high below the high one.
//
// entropy is of INFOMARK_F32; scratch holds at least one element per pixel.
enum infomark_status infomark_thresholds_of(const struct infomark_plane *entropy,
                                            double medium,
                                            double high,
                                            struct infomark_thresholds *out,
                                            float *scratch,
                                            size_t scratch_len);

// The tier of every pixel of an entropy map of INFOMARK_F32: 0 low, 1 medium, 2 high, into an INFOMARK_U8 plane of the same
// size. NaN is low.
enum infomark_status infomark_tier_map(const struct infomark_plane *entropy,
                                       const struct infomark_thresholds *thresholds,
                                       const struct infomark_plane_mut *out);

// The sampling weight of every pixel of an entropy map; both are of INFOMARK_F32 and of the same size.
enum infomark_status infomark_weight_map(const struct infomark_plane *entropy,
                                         uint32_t weighting,
                                         float parameter,
                                         const struct infomark_plane_mut *out);

// Number of float of scratch for infomark_local_contrast for an image of this size. options may be null for the defaults.
enum infomark_status infomark_local_contrast_scratch_len(const struct infomark_contrast_options *options,
                                                         size_t width,
                                                         size_t height,
                                                         size_t *len);

// Local contrast normalisation of every pixel v by the mean m and the standard deviation s of its neighbourhood: 1/2 + gain (v - m) / (s + floor),
// clamped to [0, 1]. Both planes are of INFOMARK_F32 and of the same size.
enum infomark_status infomark_local_contrast(const struct infomark_plane *image,
                                             const struct infomark_contrast_options *options,
                                             const struct infomark_plane_mut *out,
                                             float *scratch,
                                             size_t scratch_len);

// Loads a landmark network: an ONNX file written by `infomark train-landmarks` or `infomark self-train`.
enum infomark_status infomark_network_load(const char *path, struct infomark_network **out);

// infomark_network_load for a file in memory; name is its name in messages.
enum infomark_status infomark_network_from_bytes(const uint8_t *bytes,
                                                 size_t len,
                                                 const char *name,
                                                 struct infomark_network **out);

// Number of landmarks of a network.
enum infomark_status infomark_network_count(const struct infomark_network *network, size_t *count);

// The name of a landmark. The text belongs to the network and is freed with it.
enum infomark_status infomark_network_name(const struct infomark_network *network,
                                           size_t index,
                                           const char **name);

// Finds the landmarks in an image, as infomark_matcher_find does.
enum infomark_status infomark_network_find(const struct infomark_network *network,
                                           const struct infomark_image *image,
                                           const struct infomark_find_options *options,
                                           struct infomark_located *found,
                                           size_t capacity,
                                           size_t *count);

// Closes a network and sets the pointer to null; null is ignored.
enum infomark_status infomark_network_close(struct infomark_network **network);

// Samples pixels, with replacement, exactly in proportion to weights of INFOMARK_F32.
//
// columns and rows receive count elements each; cumulative is scratch of at least one element per pixel. The result depends only on
// seed and stream: streams of one seed are independent.
enum infomark_status infomark_draw_pixels(const struct infomark_plane *weights,
                                          uint64_t seed,
                                          uint64_t stream,
                                          size_t count,
                                          uint32_t *columns,
                                          uint32_t *rows,
                                          double *cumulative,
                                          size_t cumulative_len);

// Radial error: the distance of two points in millimetres, with pixels of spacing_x_mm by spacing_y_mm.
enum infomark_status infomark_radial_error_mm(struct infomark_point found,
                                              struct infomark_point truth,
                                              double spacing_x_mm,
                                              double spacing_y_mm,
                                              double *out);

// Mean of at least one error; of radial errors, the MRE.
enum infomark_status infomark_mean(const double *errors_mm, size_t count, double *out);

// Successful detection rate (SDR): the fraction of errors, at least one, strictly below a radius, from 0 to 1.
enum infomark_status infomark_sdr(const double *errors_mm,
                                  size_t count,
                                  double radius_mm,
                                  double *out);

// Bootstrap interval over images of the mean error, or, with a radius_mm above 0, of the fraction of errors below it.
//
// errors_mm holds landmarks errors per image, image after image; scratch one element per resample, such as 2000; confidence is, e.g.,
// 0.95. The same seed gives the same interval.
enum infomark_status infomark_bootstrap_interval(const double *errors_mm,
                                                 size_t count,
                                                 size_t landmarks,
                                                 double radius_mm,
                                                 double confidence,
                                                 uint64_t seed,
                                                 struct infomark_interval *out,
                                                 double *scratch,
                                                 size_t scratch_len);

// The name of a status, such as "INFOMARK_OK"; "unknown status" for any other number. Never freed.
const char *infomark_status_name(int32_t status);

// Message of the last failed call on this thread, in English, naming the argument or file and what to do; an empty
// text if none failed. At most 2047 bytes of UTF-8. It is valid until the next failure on this thread.
const char *infomark_last_error(void);

// Loads a template: a file written by `infomark template` or infomark_template_save.
enum infomark_status infomark_template_load(const char *path, struct infomark_template **out);

// infomark_template_load for a file in memory; name is its name in messages.
enum infomark_status infomark_template_from_bytes(const uint8_t *bytes,
                                                  size_t len,
                                                  const char *name,
                                                  struct infomark_template **out);

// Makes a template from an annotated image: count landmarks, at least one, all of them within the image.
enum infomark_status infomark_template_new(const struct infomark_encoder *encoder,
                                           const struct infomark_image *image,
                                           const struct infomark_landmark *landmarks,
                                           size_t count,
                                           struct infomark_template **out);

// Writes a template's file, for infomark_template_load and `infomark match --template`.
enum infomark_status infomark_template_save(const struct infomark_template *template_, const char *path);

// Number of landmarks of a template.
enum infomark_status infomark_template_count(const struct infomark_template *template_, size_t *count);

// A landmark of a template, in pixels of its image. The name belongs to the template and is freed with it.
enum infomark_status infomark_template_landmark(const struct infomark_template *template_,
                                                size_t index,
                                                struct infomark_landmark *landmark);

// Closes a template and sets the pointer to null; null is ignored. Matchers made with it stay valid.
enum infomark_status infomark_template_close(struct infomark_template **template_);

// The map of a view of width by height pixels centred on the source's point centre, rotated by angle_rad (the view's x axis
// points clockwise of the source's, on screen), with scale source pixels per view pixel.
enum infomark_status infomark_affine_around(struct infomark_point centre,
                                            double angle_rad,
                                            double scale,
                                            size_t width,
                                            size_t height,
                                            struct infomark_affine *out);

// Composition: the map of a view, second, of a view, first, to the first one's source. out may be one of them.
enum infomark_status infomark_affine_then(const struct infomark_affine *first,
                                          const struct infomark_affine *second,
                                          struct infomark_affine *out);

// The inverse map, from source to view: with it infomark_affine_apply maps landmarks of the source to the view. out may be
// the same as map.
enum infomark_status infomark_affine_inverse(const struct infomark_affine *map,
                                             struct infomark_affine *out);

// Maps points in place.
enum infomark_status infomark_affine_apply(const struct infomark_affine *map,
                                           struct infomark_point *points,
                                           size_t count);

// Resamples a source of the same pixel type and of any size into a view; map goes from the view to the source.
//
// fill is used with INFOMARK_BORDER_VALUE only, rounded and clamped to the pixel type. A view that maps pixels onto pixels copies them
// exactly; there is no anti-aliasing filter for downscaling.
enum infomark_status infomark_view(const struct infomark_plane *source,
                                   const struct infomark_affine *map,
                                   uint32_t interpolation,
                                   uint32_t border,
                                   double fill,
                                   const struct infomark_plane_mut *view);

// Brightness, contrast and gamma of an image of INFOMARK_F32 in [0, 1], in place: v brightness; then contrast v + (1 -
// contrast) mean; then v^gamma; clamped to [0, 1] after each. Factors of 1 change nothing.
enum infomark_status infomark_tone(const struct infomark_plane_mut *image,
                                   float brightness,
                                   float contrast,
                                   float gamma);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* INFOMARK_H */
