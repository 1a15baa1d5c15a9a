/*
 * libinfomark: finds the same anatomical landmarks in every radiograph, from one annotated image.
 * For research. It is not a medical device.
 *
 * Terms of every function:
 *
 * - It returns INFOMARK_OK, or a status that says what is wrong; infomark_last_error() then says it in words. No function
 *   aborts, throws or prints on wrong arguments. What a failed call wrote into buffers is unspecified.
 * - A pointer is null, or points to as many elements as the arguments beside it say. Null is an error (INFOMARK_NULL)
 *   unless it says otherwise, and for arrays of no elements. Memory that a call writes must not overlap other memory of the call
 *   (INFOMARK_OVERLAP for pixels and scratch).
 * - Buffers belong to the caller and may hold anything before they are written; structures of options say how long they are
 *   (struct_size), so that they can grow: fill them with zeros, set struct_size to sizeof, then what differs from the default.
 * - Objects are handles, opened by functions with an `out` and closed by `..._close(&handle)`, which sets the pointer to
 *   null: closing twice is no error, using it then is INFOMARK_NULL. A handle of another kind is INFOMARK_HANDLE. A copy of a
 *   pointer that was closed elsewhere leads to memory that was freed: most uses are found out (INFOMARK_HANDLE), but as with free()
 *   nothing is promised.
 * - Texts are UTF-8 and end with a zero byte. Paths, too, on every system.
 * - There is no global state. All functions may be called from any number of threads at once, with the same handles too, as
 *   long as no thread closes a handle, or writes a buffer, that another uses. None starts threads. The message of a
 *   failure belongs to its thread.
 * - What computes on planes, from infomark_to_levels to infomark_bootstrap_interval, allocates no memory, failures included.
 */

#ifndef INFOMARK_H
#define INFOMARK_H

/* Written by cbindgen from capi/src; `UPDATE_HEADER=1 cargo test -p infomark-capi --test header` writes it again. */

#include <stddef.h>
#include <stdint.h>

// Number of the binary interface that this header describes. It grows when a program that was compiled before could no
// longer run; new functions, and new fields at the end of structures with a struct_size, do not change it.
#define INFOMARK_ABI_VERSION 1

// Squares of a side; the default.
#define INFOMARK_SQUARE 0

// Disks of a radius: pixels whose centres are at most so far away.
#define INFOMARK_DISK 1

// Windows are cut off at the image's border; the default.
#define INFOMARK_PATCH_CUT 0

// The image is mirrored at the outer edges of its border pixels.
#define INFOMARK_PATCH_MIRROR 1

// The border pixels go on for ever.
#define INFOMARK_PATCH_CLAMP 2

// Weights are the entropy to the power of a parameter of at least 0.
#define INFOMARK_WEIGHT_POWER 0

// Weights are 1 where the entropy is at least the parameter, and 0 elsewhere.
#define INFOMARK_WEIGHT_CUT 1

// The nearest pixel's value.
#define INFOMARK_NEAREST 0

// Linear between four pixels.
#define INFOMARK_BILINEAR 1

// Cubic convolution of 16 pixels (Keys 1981, a = -1/2).
#define INFOMARK_BICUBIC 2

// Outside the source lies a value.
#define INFOMARK_BORDER_VALUE 0

// Outside the source its border pixels go on for ever.
#define INFOMARK_BORDER_CLAMP 1

// Outside the source it is mirrored at the outer edges of its border pixels.
#define INFOMARK_BORDER_MIRROR 2

// Status of a call. Where it is not INFOMARK_OK, infomark_last_error says why.
typedef enum infomark_status {
    // It did what it says.
    INFOMARK_OK = 0,
    // A pointer is null that may not be: a closed handle is.
    INFOMARK_NULL = 1,
    // A handle is not an open one of the kind that is wanted.
    INFOMARK_HANDLE = 2,
    // A value, size, stride, alignment or text is not usable.
    INFOMARK_ARGUMENT = 3,
    // Memory that is written overlaps other memory of the call.
    INFOMARK_OVERLAP = 4,
    // A buffer is too short; where the function has a place for it, the needed length is given.
    INFOMARK_BUFFER = 5,
    // A file, or the bytes of one, is missing, damaged or not of the wanted kind.
    INFOMARK_FILE = 6,
    // Encoder, template and image do not belong together.
    INFOMARK_MISMATCH = 7,
    // The time limit passed.
    INFOMARK_TIME_LIMIT = 8,
    // The encoder or network could not be run.
    INFOMARK_RUN = 9,
    // A defect of the library, which was contained; please report its message.
    INFOMARK_PANIC = 10,
} infomark_status;

// An encoder: images in, features out.
typedef struct infomark_encoder infomark_encoder;

// The features of one image; one serves any number of matchers.
typedef struct infomark_encoding infomark_encoding;

// Templates and landmark networks: one of them, or their product, places each landmark.
typedef struct infomark_ensemble infomark_ensemble;

// A grey image of its own, with values from 0 (black) to 1, of at least 32 pixels a side.
typedef struct infomark_image infomark_image;

// A matcher that bounds the errors of what it finds where it has a calibration, and abstains from what should not be
// used.
typedef struct infomark_judge infomark_judge;

// An encoder with the templates whose landmarks it looks for.
typedef struct infomark_matcher infomark_matcher;

// A landmark network: images in, landmarks out.
typedef struct infomark_network infomark_network;

// The landmarks of one annotated image, as features.
typedef struct infomark_template infomark_template;

// The shape of features at one stride.
typedef struct infomark_level {
    // Length of a feature.
    size_t channels;
    // Cells in a row.
    size_t width;
    // Rows of cells.
    size_t height;
    // Pixels of the canvas from a cell to the next.
    size_t stride;
} infomark_level;

// How an ensemble is loaded. Zero means the default, for every field.
typedef struct infomark_ensemble_options {
    // sizeof(infomark_ensemble_options).
    size_t struct_size;
    // 1: an image that is mirrored or turned by quarters is turned to the templates' orientation, and its landmarks are found there.
    uint32_t fix_orientation;
    // Zero.
    uint32_t reserved;
} infomark_ensemble_options;

// How one image is searched. Zero means the default, for every field.
typedef struct infomark_find_options {
    // sizeof(infomark_find_options).
    size_t struct_size;
    // Seconds after which the encoder gives up with INFOMARK_TIME_LIMIT, checked every few milliseconds; 0 for none.
    double time_limit_s;
} infomark_find_options;

// How much of the templates an image shows.
typedef struct infomark_recognition {
    // Share of 200 places of the template that agree on one smooth map onto the image, 0 to 1.
    double inlier_fraction;
    // 1 where the image shows the template's anatomy at all; where it does not, no landmark found in it means anything.
    uint32_t recognised;
    // 1 where left and right are exchanged against the template.
    uint32_t mirrored;
    // Quarters of a turn, clockwise on screen, after the mirroring; 0 to 3.
    uint32_t quarter_turns;
} infomark_recognition;

// What is said of an image as a whole.
typedef struct infomark_judgement {
    // How much of the templates it shows, and which way up.
    struct infomark_recognition recognition;
    // 1 where it was laid as the templates are before landmarks were looked for.
    uint32_t reoriented;
} infomark_judgement;

// A position in pixels: the centre of the first pixel is at (0, 0), x goes right, y down.
typedef struct infomark_point {
    // Pixels to the right.
    double x;
    // Pixels down.
    double y;
} infomark_point;

// What places a landmark in an ensemble; an `infomark_member` is one of these numbers.
typedef uint32_t infomark_member;

// A landmark that an ensemble found.
typedef struct infomark_ensemble_landmark {
    // Where it is, in pixels of the image as it was given.
    struct infomark_point at;
    // Probability of the networks' heat map around it, 0 to 1, by INFOMARK_NETWORK or INFOMARK_FUSION; mean cosine, -1 to 1, by
    // INFOMARK_TEMPLATES.
    double score;
    // Distance between the templates' and the networks' position, in pixels of the image: large where one of them is wrong.
    double disagreement_px;
    // Bound on the error, in pixels of the image, with the ensemble's coverage; NaN where the ensemble has no bounds.
    double error_bound_px;
    // The same in mm; NaN also where the size of the image's pixels is not known.
    double error_bound_mm;
    // What placed it.
    infomark_member member;
    // 1 where it should not be used: the image is not recognised, or is in another orientation than the templates and was not reoriented.
    uint32_t abstain;
} infomark_ensemble_landmark;

// What a pixel is: one of INFOMARK_U8, INFOMARK_U16, INFOMARK_F32.
typedef uint32_t infomark_pixel;

// A grey image in memory of the caller, to read: rows from top to bottom, pixels from left to right.
//
// A part of an image is one, too: data points to its first pixel, stride_bytes stays that of the whole.
typedef struct infomark_plane {
    // The first pixel, at a multiple of a pixel's size. May be null where there is no pixel.
    const void *data;
    // Pixels in a row.
    size_t width;
    // Rows.
    size_t height;
    // Bytes from the start of a row to that of the next: a multiple of a pixel's size, at least width of them. What lies
    // between is ignored.
    size_t stride_bytes;
    // What a pixel is.
    infomark_pixel pixel;
} infomark_plane;

// How an image is made of memory. Zero means the default, for every field.
typedef struct infomark_image_options {
    // sizeof(infomark_image_options).
    size_t struct_size;
    // What messages call the image; "image" where null.
    const char *name;
    // The value that is shown black, and the one that is shown white; values beyond are cut, and black may be the greater
    // one (MONOCHROME1). Where both are 0, bytes are taken from 0 to 255, and others are stretched between their
    // 0.1 and 99.9 percentiles, as files of 16 bits are.
    double black;
    // As black.
    double white;
    // Millimetres from a pixel to its right neighbour; 0 where they are not known. They are kept with the image.
    double spacing_x_mm;
    // Millimetres from a pixel to the one below.
    double spacing_y_mm;
} infomark_image_options;

// A grey image in memory of the caller, to write; as infomark_plane. What lies between rows is left alone.
typedef struct infomark_plane_mut {
    // The first pixel, at a multiple of a pixel's size.
    void *data;
    // Pixels in a row.
    size_t width;
    // Rows.
    size_t height;
    // Bytes from the start of a row to that of the next.
    size_t stride_bytes;
    // What a pixel is.
    infomark_pixel pixel;
} infomark_plane_mut;

// What is abstained from, and what errors are bounded by. Zero means the default, for every field.
typedef struct infomark_judge_options {
    // sizeof(infomark_judge_options).
    size_t struct_size;
    // File of `infomark calibrate`, measured with the same encoder, templates and options of matching; null for no
    // bounds on errors.
    const char *calibration;
    // Share of errors that shall stay within their bound, 0 to 1; needs a calibration. 0.9 by default.
    double coverage;
    // Abstain from landmarks whose error bound is larger, in mm; needs a calibration, and images a pixel size. 0 for
    // no threshold.
    double abstain_above_mm;
    // Abstain from landmarks whose score is lower, -1 to 1, where has_abstain_below_score is 1.
    double abstain_below_score;
    // 1: abstain_below_score is a threshold.
    uint32_t has_abstain_below_score;
    // 1: an image that is mirrored or turned by quarters is laid as the templates are, and its landmarks are found there.
    uint32_t fix_orientation;
} infomark_judge_options;

// Where a landmark was found, and how sure that is. Lengths are in pixels of the image as it was given; NaN where something is not known.
typedef struct infomark_found {
    // Where it is; always on the image.
    struct infomark_point at;
    // Mean cosine between the features of template and image there, -1 to 1. It ranks places; it is no probability.
    double score;
    // Score gap to the best peak elsewhere.
    double margin;
    // Cycle-consistency error: distance from the landmark after matching back into the template.
    double cycle_error;
    // Distance to the prior: where the robust alignment of the whole image puts it.
    double prior;
    // Relative size of the error, from score and margin; above 0. It orders the landmarks of an image, and bounds
    // nothing.
    double scale;
} infomark_found;

// A landmark that was found, and how far to trust it.
typedef struct infomark_judged {
    // Where it was found.
    struct infomark_found found;
    // Bound on the error, in pixels of the image as it was given; NaN where the judge has no calibration: nothing
    // bounds the error then.
    double error_bound_px;
    // The same in mm; NaN also where the size of the image's pixels is not known.
    double error_bound_mm;
    // 1 where it should not be used: its bound or score is beyond the threshold, or the image is not recognised, or lies otherwise
    // than the templates and was not reoriented.
    uint32_t abstain;
} infomark_judged;

// How landmarks are looked for. Zero means the default, for every field.
typedef struct infomark_match_options {
    // sizeof(infomark_match_options).
    size_t struct_size;
    // 1: places around a landmark have no say.
    uint32_t without_neighbours;
    // 1: the rest of the image has no say.
    uint32_t without_prior;
    // How far a landmark may be from where the rest of the image puts it, as a standard deviation in pixels of the canvas, at
    // least 1; 12 by default.
    double prior_sigma;
} infomark_match_options;

// How entropy is computed. Zero means the default, for every field.
typedef struct infomark_entropy_options {
    // sizeof(infomark_entropy_options).
    size_t struct_size;
    // Side of squares in pixels, 9 by default; radius of disks.
    size_t size;
    // Around every step-th pixel of every step-th row, from the first on; 1 by default.
    size_t step;
    // INFOMARK_SQUARE or INFOMARK_DISK.
    uint32_t shape;
    // INFOMARK_PATCH_CUT, INFOMARK_PATCH_MIRROR or INFOMARK_PATCH_CLAMP.
    uint32_t border;
} infomark_entropy_options;

// Entropies of two patches and of their pairs of grey levels, in nats, and what follows from them.
typedef struct infomark_joint_entropy {
    // H(A), entropy of the first patch.
    double first;
    // H(B), entropy of the second.
    double second;
    // H(A, B), entropy of the pairs.
    double joint;
    // I(A; B) = H(A) + H(B) - H(A, B).
    double mutual_information;
    // H(A | B) = H(A, B) - H(B).
    double first_given_second;
    // H(B | A) = H(A, B) - H(A).
    double second_given_first;
    // H(A | B) + H(B | A), a distance.
    double variation_of_information;
    // 2 I(A; B) / (H(A) + H(B)), from 0 to 1.
    double normalized_mutual_information;
    // (H(A) + H(B)) / H(A, B), from 1 to 2 (Studholme 1999).
    double studholme;
} infomark_joint_entropy;

// Least entropies of the medium and of the high tier, in nats.
typedef struct infomark_thresholds {
    // Of the medium tier.
    float medium;
    // Of the high tier.
    float high;
} infomark_thresholds;

// How grey levels are set against their surroundings. Zero means the default, for every field: what encoders are trained with.
typedef struct infomark_contrast_options {
    // sizeof(infomark_contrast_options).
    size_t struct_size;
    // Standard deviation of the neighbourhood in pixels, at most 1024; by default a sixteenth of the longer side.
    double sigma_px;
    // What one local standard deviation becomes; 0.2 by default.
    double gain;
    // What is added to the local standard deviation, in units of the image; 0.02 by default.
    double floor;
} infomark_contrast_options;

// Where a landmark network puts a landmark.
typedef struct infomark_located {
    // Where it is, in pixels of the image as it was given; always on the image.
    struct infomark_point at;
    // Probability of the cells that say so, 0 to 1: the network's own view, not the share of points that are right.
    double probability;
} infomark_located;

// Ends of an interval.
typedef struct infomark_interval {
    // Lower end.
    double low;
    // Upper end.
    double high;
} infomark_interval;

// A named point of an image, in pixels.
typedef struct infomark_landmark {
    // Its name, such as "sella"; not empty, and unlike the others'.
    const char *name;
    // Where it is: the centre of the first pixel is at (0, 0), x goes right, y down.
    struct infomark_point at;
} infomark_landmark;

// A map from a view to its source, in pixels: x' = a x + b y + c, y' = d x + e y + f.
typedef struct infomark_affine {
    // Factor of x in x'.
    double a;
    // Factor of y in x'.
    double b;
    // Shift of x'.
    double c;
    // Factor of x in y'.
    double d;
    // Factor of y in y'.
    double e;
    // Shift of y'.
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

// The number of the library's binary interface. Compare it with INFOMARK_ABI_VERSION before anything else where the library
// is loaded at run time.
uint32_t infomark_abi_version(void);

// The library's version, such as "0.1.0"; never freed.
const char *infomark_version(void);

// Loads an encoder: an ONNX file that `infomark train` wrote.
enum infomark_status infomark_encoder_load(const char *path, struct infomark_encoder **out);

// infomark_encoder_load for a file that is in memory; name stands for it in messages.
enum infomark_status infomark_encoder_from_bytes(const uint8_t *bytes,
                                                 size_t len,
                                                 const char *name,
                                                 struct infomark_encoder **out);

// The size in pixels of the canvas that an encoder lays images on.
enum infomark_status infomark_encoder_input_size(const struct infomark_encoder *encoder,
                                                 size_t *width,
                                                 size_t *height);

// SHA-256 of an encoder's file, in lower-case hexadecimal. The text belongs to the encoder and ends with it.
enum infomark_status infomark_encoder_sha256(const struct infomark_encoder *encoder, const char **sha256);

// Closes an encoder and sets the pointer to null; null is left alone. Matchers made with it stay whole.
enum infomark_status infomark_encoder_close(struct infomark_encoder **encoder);

// The features of an image. It takes most of the time of finding landmarks: with infomark_matcher_find_encoded several
// matchers share it.
enum infomark_status infomark_encoder_encode(const struct infomark_encoder *encoder,
                                             const struct infomark_image *image,
                                             struct infomark_encoding **out);

// How many levels an encoding has; the first is the finest.
enum infomark_status infomark_encoding_levels(const struct infomark_encoding *encoding, size_t *count);

// The shape of a level, and its features of length 1 in the order channel, row, column. Where len is less than their number, nothing is
// copied, the shape is given all the same, and INFOMARK_BUFFER comes back unless features is null.
enum infomark_status infomark_encoding_level(const struct infomark_encoding *encoding,
                                             size_t index,
                                             struct infomark_level *shape,
                                             float *features,
                                             size_t len);

// Closes an encoding and sets the pointer to null; null is left alone.
enum infomark_status infomark_encoding_close(struct infomark_encoding **encoding);

// Loads an ensemble: a file ending in .infomark, which `infomark loop` or *Save as* of `infomark review` wrote. options may be null for the
// defaults.
enum infomark_status infomark_ensemble_load(const char *path,
                                            const struct infomark_ensemble_options *options,
                                            struct infomark_ensemble **out);

// infomark_ensemble_load for a file that is in memory; name stands for it in messages.
enum infomark_status infomark_ensemble_from_bytes(const uint8_t *bytes,
                                                  size_t len,
                                                  const char *name,
                                                  const struct infomark_ensemble_options *options,
                                                  struct infomark_ensemble **out);

// How many landmarks an ensemble finds.
enum infomark_status infomark_ensemble_count(const struct infomark_ensemble *ensemble, size_t *count);

// The name of a landmark. The text belongs to the ensemble and ends with it.
enum infomark_status infomark_ensemble_name(const struct infomark_ensemble *ensemble,
                                            size_t index,
                                            const char **name);

// Share of errors that stay within their bound, 0 to 1; NaN where an ensemble has no bounds.
enum infomark_status infomark_ensemble_coverage(const struct infomark_ensemble *ensemble, double *coverage);

// Finds the landmarks in an image, as infomark_judge_find does. judgement may be null.
enum infomark_status infomark_ensemble_find(const struct infomark_ensemble *ensemble,
                                            const struct infomark_image *image,
                                            const struct infomark_find_options *options,
                                            struct infomark_judgement *judgement,
                                            struct infomark_ensemble_landmark *found,
                                            size_t capacity,
                                            size_t *count);

// Closes an ensemble and sets the pointer to null; null is left alone.
enum infomark_status infomark_ensemble_close(struct infomark_ensemble **ensemble);

// Reads an image file: DICOM, PNG, TIFF, JPEG, BMP, PGM or a NIfTI slice, told by content.
enum infomark_status infomark_image_read(const char *path, struct infomark_image **out);

// infomark_image_read for a file that is in memory; name stands for it in messages.
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

// The size of an image's pixels in millimetres, as its file states it or it was given; NaN where nothing does. What a DICOM
// file states may hold at the detector, not in the body: docs/formats.md.
enum infomark_status infomark_image_spacing_mm(const struct infomark_image *image,
                                               double *x,
                                               double *y);

// Copies an image's pixels, from 0 to 1, into a plane of INFOMARK_F32 and of its size; or, times 255 and rounded, into one of
// INFOMARK_U8, which is what entropy is counted on.
enum infomark_status infomark_image_copy(const struct infomark_image *image,
                                         const struct infomark_plane_mut *out);

// Closes an image and sets the pointer to null; null is left alone.
enum infomark_status infomark_image_close(struct infomark_image **image);

// Takes a matcher, which may be closed afterwards. options may be null for the defaults. A calibration that was measured with something
// else is INFOMARK_MISMATCH.
enum infomark_status infomark_judge_new(const struct infomark_matcher *matcher,
                                        const struct infomark_judge_options *options,
                                        struct infomark_judge **out);

// Finds the landmarks in an image as infomark_matcher_find does, and judges them. judgement may be null. Where the image is in doubt it
// is encoded mirrored and turned as well, which may take up to eight times as long as infomark_matcher_find.
enum infomark_status infomark_judge_find(const struct infomark_judge *judge,
                                         const struct infomark_image *image,
                                         const struct infomark_find_options *options,
                                         struct infomark_judgement *judgement,
                                         struct infomark_judged *found,
                                         size_t capacity,
                                         size_t *count);

// Closes a judge and sets the pointer to null; null is left alone.
enum infomark_status infomark_judge_close(struct infomark_judge **judge);

// Takes an encoder and count templates that it made, at least one; where several have a landmark, it is looked for with all
// of them. The handles may be closed afterwards. options may be null for the defaults.
enum infomark_status infomark_matcher_new(const struct infomark_encoder *encoder,
                                          const struct infomark_template *const *templates,
                                          size_t count,
                                          const struct infomark_match_options *options,
                                          struct infomark_matcher **out);

// How many landmarks a matcher looks for.
enum infomark_status infomark_matcher_count(const struct infomark_matcher *matcher, size_t *count);

// The name of a landmark, in the order in which they are found: those of the first template, then what the second adds, and so on. The text
// belongs to the matcher and ends with it.
enum infomark_status infomark_matcher_name(const struct infomark_matcher *matcher,
                                           size_t index,
                                           const char **name);

// Finds the landmarks in an image. found gets as many as infomark_matcher_count tells; capacity is its length, and count, which may be
// null, gets the number needed. options may be null for the defaults.
//
// It works on the calling thread alone; call it from several threads for several images.
enum infomark_status infomark_matcher_find(const struct infomark_matcher *matcher,
                                           const struct infomark_image *image,
                                           const struct infomark_find_options *options,
                                           struct infomark_found *found,
                                           size_t capacity,
                                           size_t *count);

// infomark_matcher_find for an image that is encoded already, by the same encoder.
enum infomark_status infomark_matcher_find_encoded(const struct infomark_matcher *matcher,
                                                   const struct infomark_encoding *encoding,
                                                   struct infomark_found *found,
                                                   size_t capacity,
                                                   size_t *count);

// How much of the templates is found again in an image, and which way up. It encodes the image, and where it is in doubt the
// image mirrored and turned, so it may take up to eight times as long as infomark_matcher_find. options may be null.
enum infomark_status infomark_matcher_recognise(const struct infomark_matcher *matcher,
                                                const struct infomark_image *image,
                                                const struct infomark_find_options *options,
                                                struct infomark_recognition *out);

// Closes a matcher and sets the pointer to null; null is left alone.
enum infomark_status infomark_matcher_close(struct infomark_matcher **matcher);

// Puts grey values into 256 levels: low becomes 0, high 255, what lies between in proportion, what lies outside is cut.
// image is of INFOMARK_U8 or INFOMARK_U16; out is of INFOMARK_U8 and of the same size.
enum infomark_status infomark_to_levels(const struct infomark_plane *image,
                                        uint16_t low,
                                        uint16_t high,
                                        const struct infomark_plane_mut *out);

// How many uint64_t infomark_entropy_map needs as scratch for an image of this size. options may be null for the defaults.
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

// How many uint32_t infomark_joint_entropy_of needs as scratch for patches of this size.
size_t infomark_joint_entropy_scratch_len(size_t width, size_t height);

// Joint and mutual information of two patches of INFOMARK_U8, of one size and not empty, by their 256 grey levels.
enum infomark_status infomark_joint_entropy_of(const struct infomark_plane *first,
                                               const struct infomark_plane *second,
                                               struct infomark_joint_entropy *out,
                                               uint32_t *scratch,
                                               size_t scratch_len);

// Thresholds that leave the share medium of the pixels below the medium tier, and the share high below the high one.
//
// entropy is of INFOMARK_F32; scratch holds at least one element for each pixel.
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

// The sampling weight of every pixel of an entropy map; both are of INFOMARK_F32 and of one size.
enum infomark_status infomark_weight_map(const struct infomark_plane *entropy,
                                         uint32_t weighting,
                                         float parameter,
                                         const struct infomark_plane_mut *out);

// How many float infomark_local_contrast needs as scratch for an image of this size. options may be null for the defaults.
enum infomark_status infomark_local_contrast_scratch_len(const struct infomark_contrast_options *options,
                                                         size_t width,
                                                         size_t height,
                                                         size_t *len);

// Every pixel v relative to the mean m and the standard deviation s of its neighbourhood: 1/2 + gain (v - m) / (s + floor), cut to
// [0, 1]. Both planes are of INFOMARK_F32 and of one size.
enum infomark_status infomark_local_contrast(const struct infomark_plane *image,
                                             const struct infomark_contrast_options *options,
                                             const struct infomark_plane_mut *out,
                                             float *scratch,
                                             size_t scratch_len);

// Loads a landmark network: an ONNX file that `infomark train-landmarks` or `infomark self-train` wrote.
enum infomark_status infomark_network_load(const char *path, struct infomark_network **out);

// infomark_network_load for a file that is in memory; name stands for it in messages.
enum infomark_status infomark_network_from_bytes(const uint8_t *bytes,
                                                 size_t len,
                                                 const char *name,
                                                 struct infomark_network **out);

// How many landmarks a network finds.
enum infomark_status infomark_network_count(const struct infomark_network *network, size_t *count);

// The name of a landmark. The text belongs to the network and ends with it.
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

// Closes a network and sets the pointer to null; null is left alone.
enum infomark_status infomark_network_close(struct infomark_network **network);

// Draws pixels, with replacement, exactly in proportion to weights of INFOMARK_F32.
//
// columns and rows get count places each; cumulative is scratch of at least one element for each pixel. Seed and stream alone decide
// what is drawn: streams of one seed are independent.
enum infomark_status infomark_draw_pixels(const struct infomark_plane *weights,
                                          uint64_t seed,
                                          uint64_t stream,
                                          size_t count,
                                          uint32_t *columns,
                                          uint32_t *rows,
                                          double *cumulative,
                                          size_t cumulative_len);

// The distance of two points in millimetres, with pixels of spacing_x_mm by spacing_y_mm.
enum infomark_status infomark_radial_error_mm(struct infomark_point found,
                                              struct infomark_point truth,
                                              double spacing_x_mm,
                                              double spacing_y_mm,
                                              double *out);

// The mean of errors (MRE), at least one.
enum infomark_status infomark_mean(const double *errors_mm, size_t count, double *out);

// The share of errors, at least one, strictly below a radius (SDR), from 0 to 1.
enum infomark_status infomark_sdr(const double *errors_mm, size_t count, double radius_mm, double *out);

// Bootstrap interval over images of the mean error, or, with a radius_mm above 0, of the share of errors below it.
//
// errors_mm holds one image after the other, landmarks errors each; scratch one element for each resample, such as 2000; confidence is such
// as 0.95. The same seed gives the same interval.
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

// What the last call on this thread that failed said of it, in English, naming the argument or file and what to do; an empty
// text when none failed. At most 2047 bytes of UTF-8. It holds until the next failure on this thread.
const char *infomark_last_error(void);

// Loads a template: a file that `infomark template` or infomark_template_save wrote.
enum infomark_status infomark_template_load(const char *path, struct infomark_template **out);

// infomark_template_load for a file that is in memory; name stands for it in messages.
enum infomark_status infomark_template_from_bytes(const uint8_t *bytes,
                                                  size_t len,
                                                  const char *name,
                                                  struct infomark_template **out);

// Makes a template of an annotated image: count landmarks, at least one, all of them on the image.
enum infomark_status infomark_template_new(const struct infomark_encoder *encoder,
                                           const struct infomark_image *image,
                                           const struct infomark_landmark *landmarks,
                                           size_t count,
                                           struct infomark_template **out);

// Writes a template's file, which infomark_template_load and `infomark match --template` read.
enum infomark_status infomark_template_save(const struct infomark_template *template_, const char *path);

// How many landmarks a template has.
enum infomark_status infomark_template_count(const struct infomark_template *template_, size_t *count);

// A landmark of a template, in pixels of its image. The name belongs to the template and ends with it.
enum infomark_status infomark_template_landmark(const struct infomark_template *template_,
                                                size_t index,
                                                struct infomark_landmark *landmark);

// Closes a template and sets the pointer to null; null is left alone. Matchers made with it stay whole.
enum infomark_status infomark_template_close(struct infomark_template **template_);

// The map of a view of width by height pixels whose middle shows the source's point centre, turned by angle_rad (the view's x axis
// points clockwise of the source's, on screen), with scale source pixels to a pixel of the view.
enum infomark_status infomark_affine_around(struct infomark_point centre,
                                            double angle_rad,
                                            double scale,
                                            size_t width,
                                            size_t height,
                                            struct infomark_affine *out);

// The map of a view of a view: second is the view's own, first that of the view that it is a view of. out may be one of them.
enum infomark_status infomark_affine_then(const struct infomark_affine *first,
                                          const struct infomark_affine *second,
                                          struct infomark_affine *out);

// The map that undoes another, from source to view: with it infomark_affine_apply takes landmarks of the source to the view. out may be
// the same as map.
enum infomark_status infomark_affine_inverse(const struct infomark_affine *map,
                                             struct infomark_affine *out);

// Takes points through a map, where they lie.
enum infomark_status infomark_affine_apply(const struct infomark_affine *map,
                                           struct infomark_point *points,
                                           size_t count);

// Fills a view from a source of the same kind of pixel and of any size; map leads from the view to the source.
//
// fill is used with INFOMARK_BORDER_VALUE alone, rounded and cut to what a pixel holds. A view that moves pixels onto pixels copies them
// exactly; nothing is smoothed before a view that is scaled down.
enum infomark_status infomark_view(const struct infomark_plane *source,
                                   const struct infomark_affine *map,
                                   uint32_t interpolation,
                                   uint32_t border,
                                   double fill,
                                   const struct infomark_plane_mut *view);

// Changes brightness, contrast and gamma of an image of INFOMARK_F32 in [0, 1], where it lies: v brightness; then contrast v + (1 -
// contrast) mean; then v^gamma; cut to [0, 1] after each. Factors of 1 change nothing.
enum infomark_status infomark_tone(const struct infomark_plane_mut *image,
                                   float brightness,
                                   float contrast,
                                   float gamma);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* INFOMARK_H */
