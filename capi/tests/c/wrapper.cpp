// The C++ wrapper: wrapper ENCODER TEMPLATE IMAGE.
#include <infomark.hpp>

#include <cstdio>
#include <cstdlib>
#include <thread>

static void check(bool good, const char *what) {
    if (!good) {
        std::fprintf(stderr, "not so: %s\n", what);
        std::exit(1);
    }
}

template <typename Work> static infomark_status status_of(Work work) {
    try {
        work();
    } catch (const infomark::Error &error) {
        check(error.what()[0] != '\0', "an error says what it is");
        return error.status();
    }
    return INFOMARK_OK;
}

int main(int argc, char **argv) {
    check(argc == 4, "three files");
    infomark::check_abi();
    const auto encoder = infomark::Encoder::load(argv[1]);
    const auto shipped = infomark::Template::load(argv[2]);
    const auto image = infomark::Image::read(argv[3]);

    // Objects move, and close what they hold once.
    infomark::Matcher first(encoder, shipped);
    const infomark::Matcher matcher = std::move(first);
    const auto found = matcher.find(image, std::chrono::minutes(10));
    check(found.size() == shipped.landmarks().size(), "as many as the template has");
    check(status_of([&] { matcher.find(image, std::chrono::nanoseconds(1)); }) == INFOMARK_TIME_LIMIT, "a limit");

    // A template of what was found finds itself.
    std::vector<infomark::Landmark> marked;
    for (const auto &one : found) {
        marked.push_back({one.name, one.at});
    }
    const infomark::Template made(encoder, image, marked);
    const auto encoding = encoder.encode(image);
    for (const auto &one : infomark::Matcher(encoder, made).find(encoding)) {
        for (const auto &before : found) {
            if (one.name == before.name) {
                check(std::hypot(one.at.x - before.at.x, one.at.y - before.at.y) < 3, "a template finds itself");
            }
        }
    }
    check(status_of([&] { infomark::Template(encoder, image, {}); }) == INFOMARK_ARGUMENT, "no landmarks");
    check(status_of([&] { infomark::Matcher(encoder, std::vector<const infomark::Template *>{nullptr}); }) ==
              INFOMARK_NULL,
          "a null template");
    check(status_of([] { infomark::Image::read("no such file"); }) == INFOMARK_FILE, "a missing file");
    check(encoder.sha256().size() == 64, "a hash");
    check(encoding.features(0).size() > 0, "features");
    const auto recognition = matcher.recognise(image);
    check(recognition.inlier_fraction <= 1, "a share");

    // A judge finds the same, and abstains from all of an image that is not recognised.
    const auto judgement = infomark::Judge(matcher).find(image);
    check(judgement.recognition.inlier_fraction == recognition.inlier_fraction && !judgement.reoriented, "the same share");
    for (std::size_t i = 0; i < found.size(); ++i) {
        const auto &judged = judgement.landmarks[i];
        check(judged.name == found[i].name && judged.at.x == found[i].at.x, "a judge finds the same");
        check(std::isnan(judged.measures.error_bound_px) && std::isnan(judged.measures.error_bound_mm), "no bound");
        check(judged.measures.found.scale > 0, "a rank");
        check(judged.measures.abstain == (recognition.recognised == 0), "what it abstains from");
    }
    const auto own = infomark::Judge(infomark::Matcher(encoder, made)).find(image);
    check(own.recognition.recognised == 1 && own.landmarks[0].measures.abstain == 0, "a template in itself");
    auto strict = infomark::Judge::options();
    strict.has_abstain_below_score = 1;
    strict.abstain_below_score = 1;
    for (const auto &judged : infomark::Judge(matcher, &strict).find(image).landmarks) {
        check(judged.measures.abstain == 1, "a threshold of scores");
    }
    strict.abstain_above_mm = 3;
    check(status_of([&] { infomark::Judge judge(matcher, &strict); }) == INFOMARK_ARGUMENT, "no calibration");

    // A part of 16-bit memory, white to black.
    std::vector<std::uint16_t> wide(400 * 400);
    const auto pixels = image.pixels();
    for (std::size_t y = 0; y < 360; ++y) {
        for (std::size_t x = 0; x < 300; ++x) {
            wide[400 * y + x + 50] = static_cast<std::uint16_t>(4095 - 4095 * pixels[300 * y + x]);
        }
    }
    auto options = infomark::Image::options();
    options.black = 4095;
    options.white = 0;
    options.spacing_x_mm = options.spacing_y_mm = 0.2;
    const auto same =
        infomark::Image::from_plane(infomark::plane(wide.data() + 50, 300, 360, 400), &options);
    check(same.spacing_mm().first == 0.2, "the spacing that was given");
    const auto copied = same.pixels();
    double worst = 0;
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        worst = std::fmax(worst, std::fabs(pixels[i] - copied[i]));
    }
    check(worst < 1e-3, "the same pixels");

    // Two threads, one matcher; each has its own message.
    std::vector<infomark::Found> apart[2];
    std::thread other([&] {
        status_of([] { infomark::Image::read("elsewhere"); });
        apart[0] = matcher.find(image);
        check(std::string(infomark_last_error()).find("elsewhere") == 0, "the thread's own message");
    });
    apart[1] = matcher.find(image);
    other.join();
    check(std::string(infomark_last_error()).find("elsewhere") == std::string::npos, "nobody else's message");
    for (std::size_t i = 0; i < found.size(); ++i) {
        check(apart[0][i].at.x == found[i].at.x && apart[1][i].at.y == found[i].at.y, "the same on any thread");
    }

    const auto levels = image.levels();
    const auto plane = infomark::plane(levels.data(), image.width(), image.height());
    check(infomark::entropy_map(plane).size() == levels.size(), "an entropy for each pixel");
    const auto both = infomark::joint_entropy(plane, plane);
    check(both.mutual_information == both.first, "information of an image with itself is its entropy");
    std::printf("the C++ wrapper does what it says\n");
    return 0;
}
