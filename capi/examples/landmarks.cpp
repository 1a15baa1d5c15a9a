// Finds a template's landmarks in an image: landmarks ENCODER TEMPLATE IMAGE
#include <infomark.hpp>

#include <cstdio>
#include <exception>

int main(int argc, char **argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: landmarks ENCODER TEMPLATE IMAGE\n");
        return 2;
    }
    try {
        const auto encoder = infomark::Encoder::load(argv[1]);
        const infomark::Matcher matcher(encoder, infomark::Template::load(argv[2]));
        for (const auto &found : matcher.find(infomark::Image::read(argv[3]))) {
            std::printf("%s %.2f %.2f %.3f\n", found.name.c_str(), found.at.x, found.at.y, found.measures.score);
        }
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
