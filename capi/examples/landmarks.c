/* Finds a template's landmarks in an image: landmarks ENCODER TEMPLATE IMAGE */
#include <infomark.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    infomark_encoder *encoder = NULL;
    infomark_template *template_ = NULL;
    infomark_image *image = NULL;
    infomark_matcher *matcher = NULL;
    infomark_found *found = NULL;
    size_t count = 0;
    int failed = 1;

    if (argc != 4) {
        fprintf(stderr, "usage: landmarks ENCODER TEMPLATE IMAGE\n");
        return 2;
    }
    if (infomark_encoder_load(argv[1], &encoder) != INFOMARK_OK ||
        infomark_template_load(argv[2], &template_) != INFOMARK_OK ||
        infomark_image_read(argv[3], &image) != INFOMARK_OK ||
        infomark_matcher_new(encoder, (const infomark_template *const *)&template_, 1, NULL, &matcher) != INFOMARK_OK ||
        infomark_matcher_count(matcher, &count) != INFOMARK_OK) {
        goto done;
    }
    found = malloc(count * sizeof *found);
    if (found == NULL || infomark_matcher_find(matcher, image, NULL, found, count, NULL) != INFOMARK_OK) {
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        if (infomark_matcher_name(matcher, i, &name) != INFOMARK_OK) {
            goto done;
        }
        printf("%s %.2f %.2f %.3f\n", name, found[i].at.x, found[i].at.y, found[i].score);
    }
    failed = 0;
done:
    if (failed) {
        fprintf(stderr, "%s\n", infomark_last_error());
    }
    free(found);
    infomark_matcher_close(&matcher);
    infomark_image_close(&image);
    infomark_template_close(&template_);
    infomark_encoder_close(&encoder);
    return failed;
}
