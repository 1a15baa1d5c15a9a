// infomark for C++17: RAII classes, and exceptions. Everything is inline; link with libinfomark.
#ifndef INFOMARK_HPP
#define INFOMARK_HPP

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "infomark.h"

namespace infomark {

/// Status of a failed call; what() is its message.
class Error : public std::runtime_error {
public:
    Error(infomark_status status, const char *message) : std::runtime_error(message), status_(status) {}
    infomark_status status() const noexcept { return status_; }

private:
    infomark_status status_;
};

namespace detail {

inline void check(infomark_status status) {
    if (status != INFOMARK_OK) {
        throw Error(status, infomark_last_error());
    }
}

template <typename T, infomark_status (*CloseHandle)(T **)>
struct Close {
    void operator()(T *handle) const noexcept { CloseHandle(&handle); }
};

template <typename T, infomark_status (*CloseHandle)(T **)>
using Handle = std::unique_ptr<T, Close<T, CloseHandle>>;

template <typename Pixel> struct Kind;
template <> struct Kind<std::uint8_t> { static constexpr infomark_pixel value = INFOMARK_U8; };
template <> struct Kind<std::uint16_t> { static constexpr infomark_pixel value = INFOMARK_U16; };
template <> struct Kind<float> { static constexpr infomark_pixel value = INFOMARK_F32; };

template <typename Options> Options defaults() {
    Options options = Options();
    options.struct_size = sizeof(Options);
    return options;
}

inline infomark_find_options limit(std::chrono::duration<double> time) {
    auto options = defaults<infomark_find_options>();
    options.time_limit_s = time.count();
    return options;
}

} // namespace detail

/// Pixels of std::uint8_t, std::uint16_t or float in the caller's memory, for reading. stride is in pixels, 0 for contiguous
/// rows.
template <typename Pixel>
infomark_plane plane(const Pixel *data, std::size_t width, std::size_t height, std::size_t stride = 0) {
    return {data, width, height, (stride == 0 ? width : stride) * sizeof(Pixel), detail::Kind<Pixel>::value};
}

/// As plane(), for writing.
template <typename Pixel>
infomark_plane_mut plane_mut(Pixel *data, std::size_t width, std::size_t height, std::size_t stride = 0) {
    return {data, width, height, (stride == 0 ? width : stride) * sizeof(Pixel), detail::Kind<Pixel>::value};
}

/// Throws unless library and header have the same binary interface.
inline void check_abi() {
    if (infomark_abi_version() != INFOMARK_ABI_VERSION) {
        throw std::runtime_error("libinfomark is of another binary interface than infomark.h");
    }
}

/// A grey image.
class Image {
public:
    /// Reads a file: DICOM, PNG, TIFF, JPEG, BMP, PGM, a NIfTI slice.
    static Image read(const std::string &path) {
        infomark_image *image = nullptr;
        detail::check(infomark_image_read(path.c_str(), &image));
        return Image(image);
    }

    /// Decodes a file in memory.
    static Image from_bytes(const std::uint8_t *bytes, std::size_t size, const std::string &name) {
        infomark_image *image = nullptr;
        detail::check(infomark_image_from_bytes(bytes, size, name.c_str(), &image));
        return Image(image);
    }

    /// Copies pixels; set struct_size of the options, or start from Image::options().
    static Image from_plane(const infomark_plane &plane, const infomark_image_options *options = nullptr) {
        infomark_image *image = nullptr;
        detail::check(infomark_image_from_plane(&plane, options, &image));
        return Image(image);
    }

    static infomark_image_options options() { return detail::defaults<infomark_image_options>(); }

    std::size_t width() const { return size().first; }
    std::size_t height() const { return size().second; }

    /// Pixel spacing in millimetres, NaN if unknown.
    std::pair<double, double> spacing_mm() const {
        std::pair<double, double> mm;
        detail::check(infomark_image_spacing_mm(get(), &mm.first, &mm.second));
        return mm;
    }

    /// The pixels, from 0 to 1, row by row.
    std::vector<float> pixels() const { return copied<float>(); }

    /// The pixels in 256 levels, row by row.
    std::vector<std::uint8_t> levels() const { return copied<std::uint8_t>(); }

    const infomark_image *get() const noexcept { return handle_.get(); }

private:
    explicit Image(infomark_image *image) : handle_(image) {}

    std::pair<std::size_t, std::size_t> size() const {
        std::pair<std::size_t, std::size_t> size;
        detail::check(infomark_image_size(get(), &size.first, &size.second));
        return size;
    }

    template <typename Pixel> std::vector<Pixel> copied() const {
        const auto [width, height] = size();
        std::vector<Pixel> pixels(width * height);
        const infomark_plane_mut out = plane_mut(pixels.data(), width, height);
        detail::check(infomark_image_copy(get(), &out));
        return pixels;
    }

    detail::Handle<infomark_image, infomark_image_close> handle_;
};

/// The features of an image.
class Encoding {
public:
    std::size_t levels() const {
        std::size_t count = 0;
        detail::check(infomark_encoding_levels(get(), &count));
        return count;
    }

    infomark_level level(std::size_t index) const {
        infomark_level shape;
        detail::check(infomark_encoding_level(get(), index, &shape, nullptr, 0));
        return shape;
    }

    /// Features of length 1 in the order channel, row, column.
    std::vector<float> features(std::size_t index) const {
        infomark_level shape = level(index);
        std::vector<float> features(shape.channels * shape.width * shape.height);
        detail::check(infomark_encoding_level(get(), index, &shape, features.data(), features.size()));
        return features;
    }

    const infomark_encoding *get() const noexcept { return handle_.get(); }

private:
    friend class Encoder;
    explicit Encoding(infomark_encoding *encoding) : handle_(encoding) {}
    detail::Handle<infomark_encoding, infomark_encoding_close> handle_;
};

/// An encoder, from a file of `infomark train`.
class Encoder {
public:
    static Encoder load(const std::string &path) {
        infomark_encoder *encoder = nullptr;
        detail::check(infomark_encoder_load(path.c_str(), &encoder));
        return Encoder(encoder);
    }

    static Encoder from_bytes(const std::uint8_t *bytes, std::size_t size, const std::string &name) {
        infomark_encoder *encoder = nullptr;
        detail::check(infomark_encoder_from_bytes(bytes, size, name.c_str(), &encoder));
        return Encoder(encoder);
    }

    std::string sha256() const {
        const char *sha256 = nullptr;
        detail::check(infomark_encoder_sha256(get(), &sha256));
        return sha256;
    }

    Encoding encode(const Image &image) const {
        infomark_encoding *encoding = nullptr;
        detail::check(infomark_encoder_encode(get(), image.get(), &encoding));
        return Encoding(encoding);
    }

    const infomark_encoder *get() const noexcept { return handle_.get(); }

private:
    explicit Encoder(infomark_encoder *encoder) : handle_(encoder) {}
    detail::Handle<infomark_encoder, infomark_encoder_close> handle_;
};

/// A named point of an image.
struct Landmark {
    std::string name;
    infomark_point at;
};

/// A template: the landmark features of one annotated image.
class Template {
public:
    static Template load(const std::string &path) {
        infomark_template *made = nullptr;
        detail::check(infomark_template_load(path.c_str(), &made));
        return Template(made);
    }

    static Template from_bytes(const std::uint8_t *bytes, std::size_t size, const std::string &name) {
        infomark_template *made = nullptr;
        detail::check(infomark_template_from_bytes(bytes, size, name.c_str(), &made));
        return Template(made);
    }

    Template(const Encoder &encoder, const Image &image, const std::vector<Landmark> &landmarks) {
        std::vector<infomark_landmark> given;
        given.reserve(landmarks.size());
        for (const Landmark &landmark : landmarks) {
            given.push_back({landmark.name.c_str(), landmark.at});
        }
        infomark_template *made = nullptr;
        detail::check(infomark_template_new(encoder.get(), image.get(), given.data(), given.size(), &made));
        handle_.reset(made);
    }

    void save(const std::string &path) const { detail::check(infomark_template_save(get(), path.c_str())); }

    std::vector<Landmark> landmarks() const {
        std::size_t count = 0;
        detail::check(infomark_template_count(get(), &count));
        std::vector<Landmark> landmarks;
        for (std::size_t index = 0; index < count; ++index) {
            infomark_landmark landmark;
            detail::check(infomark_template_landmark(get(), index, &landmark));
            landmarks.push_back({landmark.name, landmark.at});
        }
        return landmarks;
    }

    const infomark_template *get() const noexcept { return handle_.get(); }

private:
    explicit Template(infomark_template *made) : handle_(made) {}
    detail::Handle<infomark_template, infomark_template_close> handle_;
};

/// A matched landmark; `measures` has score, margin and other confidence measures.
struct Found {
    std::string name;
    infomark_point at;
    infomark_found measures;
};

/// A landmark matcher: an encoder with templates.
class Matcher {
public:
    Matcher(const Encoder &encoder, const std::vector<const Template *> &templates,
            const infomark_match_options *options = nullptr) {
        std::vector<const infomark_template *> given;
        given.reserve(templates.size());
        for (const Template *one : templates) {
            given.push_back(one == nullptr ? nullptr : one->get());
        }
        infomark_matcher *matcher = nullptr;
        detail::check(infomark_matcher_new(encoder.get(), given.data(), given.size(), options, &matcher));
        handle_.reset(matcher);
        std::size_t count = 0;
        detail::check(infomark_matcher_count(get(), &count));
        for (std::size_t index = 0; index < count; ++index) {
            const char *name = nullptr;
            detail::check(infomark_matcher_name(get(), index, &name));
            names_.emplace_back(name);
        }
    }

    Matcher(const Encoder &encoder, const Template &one, const infomark_match_options *options = nullptr)
        : Matcher(encoder, std::vector<const Template *>{&one}, options) {}

    static infomark_match_options options() { return detail::defaults<infomark_match_options>(); }

    const std::vector<std::string> &names() const noexcept { return names_; }

    /// Finds the landmarks; throws INFOMARK_TIME_LIMIT after the time limit, 0 for none.
    std::vector<Found> find(const Image &image, std::chrono::duration<double> time = {}) const {
        const infomark_find_options options = detail::limit(time);
        std::vector<infomark_found> found(names_.size());
        detail::check(
            infomark_matcher_find(get(), image.get(), &options, found.data(), found.size(), nullptr));
        return named(found);
    }

    std::vector<Found> find(const Encoding &encoding) const {
        std::vector<infomark_found> found(names_.size());
        detail::check(
            infomark_matcher_find_encoded(get(), encoding.get(), found.data(), found.size(), nullptr));
        return named(found);
    }

    infomark_recognition recognise(const Image &image, std::chrono::duration<double> time = {}) const {
        const infomark_find_options options = detail::limit(time);
        infomark_recognition recognition;
        detail::check(infomark_matcher_recognise(get(), image.get(), &options, &recognition));
        return recognition;
    }

    const infomark_matcher *get() const noexcept { return handle_.get(); }

private:
    std::vector<Found> named(const std::vector<infomark_found> &found) const {
        std::vector<Found> all;
        all.reserve(found.size());
        for (std::size_t index = 0; index < found.size(); ++index) {
            all.push_back({names_[index], found[index].at, found[index]});
        }
        return all;
    }

    detail::Handle<infomark_matcher, infomark_matcher_close> handle_;
    std::vector<std::string> names_;
};

/// A judged landmark; `measures` has its error bounds and whether it is abstained from.
struct Judged {
    std::string name;
    infomark_point at;
    infomark_judged measures;
};

/// Judgement of an image and its landmarks.
struct Judgement {
    infomark_recognition recognition;
    bool reoriented;
    std::vector<Judged> landmarks;
};

/// A matcher with error bounds, if it has a calibration, and abstention from landmarks that should not be
/// used.
class Judge {
public:
    explicit Judge(const Matcher &matcher, const infomark_judge_options *options = nullptr) : names_(matcher.names()) {
        infomark_judge *judge = nullptr;
        detail::check(infomark_judge_new(matcher.get(), options, &judge));
        handle_.reset(judge);
    }

    static infomark_judge_options options() { return detail::defaults<infomark_judge_options>(); }

    /// Finds the landmarks and judges them; throws INFOMARK_TIME_LIMIT after the time limit, 0 for none.
    Judgement find(const Image &image, std::chrono::duration<double> time = {}) const {
        const infomark_find_options options = detail::limit(time);
        std::vector<infomark_judged> found(names_.size());
        infomark_judgement told;
        detail::check(
            infomark_judge_find(get(), image.get(), &options, &told, found.data(), found.size(), nullptr));
        Judgement judgement = {told.recognition, told.reoriented == 1, {}};
        for (std::size_t index = 0; index < found.size(); ++index) {
            judgement.landmarks.push_back({names_[index], found[index].found.at, found[index]});
        }
        return judgement;
    }

    const infomark_judge *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<infomark_judge, infomark_judge_close> handle_;
    std::vector<std::string> names_;
};

/// A landmark located by a network.
struct Located {
    std::string name;
    infomark_point at;
    double probability;
};

/// A landmark network, from a file of `infomark train-landmarks` or `infomark self-train`.
class Network {
public:
    static Network load(const std::string &path) {
        infomark_network *network = nullptr;
        detail::check(infomark_network_load(path.c_str(), &network));
        return Network(network);
    }

    std::vector<Located> find(const Image &image, std::chrono::duration<double> time = {}) const {
        const infomark_find_options options = detail::limit(time);
        std::size_t count = 0;
        detail::check(infomark_network_count(get(), &count));
        std::vector<infomark_located> found(count);
        detail::check(infomark_network_find(get(), image.get(), &options, found.data(), count, nullptr));
        std::vector<Located> all;
        for (std::size_t index = 0; index < count; ++index) {
            const char *name = nullptr;
            detail::check(infomark_network_name(get(), index, &name));
            all.push_back({name, found[index].at, found[index].probability});
        }
        return all;
    }

    const infomark_network *get() const noexcept { return handle_.get(); }

private:
    explicit Network(infomark_network *network) : handle_(network) {}
    detail::Handle<infomark_network, infomark_network_close> handle_;
};

/// A landmark found by an ensemble; `measures` has its score, bounds and member.
struct EnsembleLandmark {
    std::string name;
    infomark_point at;
    infomark_ensemble_landmark measures;
};

/// Judgement of an image by an ensemble, and its landmarks.
struct EnsembleDetection {
    infomark_recognition recognition;
    bool reoriented;
    std::vector<EnsembleLandmark> landmarks;
};

/// An ensemble of templates and landmark networks, from a file ending in .infomark of `infomark loop` or `infomark review`.
class Ensemble {
public:
    static Ensemble load(const std::string &path, const infomark_ensemble_options *options = nullptr) {
        infomark_ensemble *ensemble = nullptr;
        detail::check(infomark_ensemble_load(path.c_str(), options, &ensemble));
        return Ensemble(ensemble);
    }

    static infomark_ensemble_options options() { return detail::defaults<infomark_ensemble_options>(); }

    /// Coverage of the error bounds; NaN without bounds.
    double coverage() const {
        double coverage = 0;
        detail::check(infomark_ensemble_coverage(get(), &coverage));
        return coverage;
    }

    EnsembleDetection find(const Image &image, std::chrono::duration<double> time = {}) const {
        const infomark_find_options options = detail::limit(time);
        std::size_t count = 0;
        detail::check(infomark_ensemble_count(get(), &count));
        std::vector<infomark_ensemble_landmark> found(count);
        infomark_judgement told;
        detail::check(infomark_ensemble_find(get(), image.get(), &options, &told, found.data(), count, nullptr));
        EnsembleDetection detection = {told.recognition, told.reoriented == 1, {}};
        for (std::size_t index = 0; index < count; ++index) {
            const char *name = nullptr;
            detail::check(infomark_ensemble_name(get(), index, &name));
            detection.landmarks.push_back({name, found[index].at, found[index]});
        }
        return detection;
    }

    const infomark_ensemble *get() const noexcept { return handle_.get(); }

private:
    explicit Ensemble(infomark_ensemble *ensemble) : handle_(ensemble) {}
    detail::Handle<infomark_ensemble, infomark_ensemble_close> handle_;
};

/// Entropy of the grey levels around each pixel, in nats, row by row; set struct_size of the options.
inline std::vector<float> entropy_map(const infomark_plane &image,
                                      const infomark_entropy_options *options = nullptr) {
    const std::size_t step = options == nullptr || options->step == 0 ? 1 : options->step;
    const std::size_t width = (image.width + step - 1) / step, height = (image.height + step - 1) / step;
    std::size_t needed = 0;
    detail::check(infomark_entropy_scratch_len(options, image.width, image.height, &needed));
    std::vector<std::uint64_t> scratch(needed);
    std::vector<float> entropy(width * height);
    const infomark_plane_mut out = plane_mut(entropy.data(), width, height);
    detail::check(infomark_entropy_map(&image, nullptr, options, &out, scratch.data(), scratch.size()));
    return entropy;
}

/// Joint entropy and mutual information of two patches of the same size, of std::uint8_t.
inline infomark_joint_entropy joint_entropy(const infomark_plane &first, const infomark_plane &second) {
    std::vector<std::uint32_t> scratch(infomark_joint_entropy_scratch_len(first.width, first.height));
    infomark_joint_entropy both;
    detail::check(infomark_joint_entropy_of(&first, &second, &both, scratch.data(), scratch.size()));
    return both;
}

} // namespace infomark

#endif
