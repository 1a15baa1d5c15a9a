#include "view.cuh"

// Views of a batch of images: rotated, scaled and shifted parts with another tone, and their points.

// One view: which image it is of, where each of its pixels lies there, and its tone. See the core's Warp and Tone.
struct View {
    i32 image;
    float centre_x, centre_y, turn_x, turn_y, inverse_x, inverse_y;
    float brightness, contrast, gamma;
};

// What views are drawn from: the entropies that separate the tiers, and for each tier low and high ends of brightness,
// contrast and gamma.
struct Guide {
    float medium, high;
    float ends[3][6];
    float rotation, log_scale;
};

// From which pixel each view is taken, its tone by the pixel's tier; the random numbers are those of stream
// `first_stream + view`: brightness, contrast, gamma, angle, scale.
// Bytes: 8 read and 40 written a view. Limit: launch latency.
extern "C" __global__ void plan_views(const float *__restrict__ entropy, const u32 *__restrict__ centres,
                                      View *__restrict__ views, Guide guide, u32 count, u32 per_image, u32 width,
                                      u32 pixels, u64 seed, u64 first_stream) {
    u32 index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    u32 image = index / per_image, centre = min(centres[index], pixels - 1);
    float information = entropy[(u64)image * pixels + centre];
    const float *ends = guide.ends[information >= guide.high ? 2 : information >= guide.medium ? 1 : 0];
    float drawn[5];
    for (i32 i = 0; i < 5; ++i) {
        float unit = unit_float(random_bits(seed, first_stream + index, i));
        float low = i < 3 ? ends[2 * i] : i == 3 ? -guide.rotation : -guide.log_scale;
        float high = i < 3 ? ends[2 * i + 1] : i == 3 ? guide.rotation : guide.log_scale;
        drawn[i] = low + (high - low) * unit;
    }
    float sine = sinf(drawn[3]), cosine = cosf(drawn[3]), scale = expf(drawn[4]);
    View view;
    view.image = (i32)image;
    view.centre_x = (float)(centre % width);
    view.centre_y = (float)(centre / width);
    view.turn_x = scale * cosine;
    view.turn_y = scale * sine;
    view.inverse_x = cosine / scale;
    view.inverse_y = sine / scale;
    view.brightness = drawn[0];
    view.contrast = drawn[1];
    view.gamma = drawn[2];
    views[index] = view;
}

// The pixel before a coordinate, the one after it, and the way between them; false on no pixel.
struct Neighbours {
    i32 low, high;
    float part;
};

__device__ __forceinline__ bool neighbours(float at, i32 size, Neighbours &out) {
    float last = (float)(size - 1);
    if (!(at >= -0.5f && at < last + 0.5f)) return false;
    at = fminf(fmaxf(at, 0.0f), last);
    out.low = (i32)floorf(at);
    out.high = min(out.low + 1, size - 1);
    out.part = at - (float)out.low;
    return true;
}

template <class T>
__device__ __forceinline__ void make_view(const T *images, const View *views, float *out, double *sums, Images size,
                                          i32 width, i32 height, u32 tiles, float border, double *parts) {
    Tile tile(width * height, tiles);
    const View &view = views[tile.view];
    const T *pixels = images + view.image * size.step;
    float middle_x = (float)(width - 1) * 0.5f, middle_y = (float)(height - 1) * 0.5f;
    auto value = [&](u32 column, u32 row) {
        float x = (float)column - middle_x, y = (float)row - middle_y;
        Neighbours across, down;
        if (!neighbours(view.centre_x + (x * view.turn_x - y * view.turn_y), size.width, across) ||
            !neighbours(view.centre_y + (x * view.turn_y + y * view.turn_x), size.height, down)) {
            return border;
        }
        const T *top = pixels + down.low * size.pitch, *bottom = pixels + down.high * size.pitch;
        float above = mix(grey(top[across.low]), grey(top[across.high]), across.part);
        float below = mix(grey(bottom[across.low]), grey(bottom[across.high]), across.part);
        return mix(above, below, down.part);
    };
    brighten(value, view.brightness, tile, out, sums, width, width * height, parts);
}

// Resampled and brightened; `tone_views` does the rest. A block a tile. Bytes: at most 4 reads of the source a pixel
// (L1 and L2, the source once from DRAM), 4 written a pixel, 8 a tile. Limit: DRAM.
extern "C" __global__ void make_views_u8(const u8 *__restrict__ images, const View *__restrict__ views,
                                         float *__restrict__ out, double *__restrict__ sums, Images size, i32 width,
                                         i32 height, u32 tiles, float border) {
    __shared__ double parts[VIEW_WARPS];
    make_view(images, views, out, sums, size, width, height, tiles, border, parts);
}

extern "C" __global__ void make_views_f32(const float *__restrict__ images, const View *__restrict__ views,
                                          float *__restrict__ out, double *__restrict__ sums, Images size, i32 width,
                                          i32 height, u32 tiles, float border) {
    __shared__ double parts[VIEW_WARPS];
    make_view(images, views, out, sums, size, width, height, tiles, border, parts);
}

// Contrast and gamma of those views. A block a tile. Bytes: 8 a pixel (read and written, from L2 where the views fit),
// 8 read a tile of the view. Limit: DRAM or L2.
extern "C" __global__ void tone_views(const View *__restrict__ views, const double *__restrict__ sums,
                                      float *__restrict__ out, u32 pixels, u32 tiles) {
    __shared__ double parts[VIEW_WARPS];
    __shared__ float mean;
    finish_tone(views, sums, out, pixels, tiles, parts, &mean);
}

// Points of the images (as pixel indices) in their views: a quadruple of the place in the view and in the image, all
// NaN where the view does not show it. Bytes: 4 read and 16 written a point. Limit: DRAM.
extern "C" __global__ void push_points(const u32 *__restrict__ points, const View *__restrict__ views,
                                       float4 *__restrict__ out, u64 count, u32 per_view, u32 source_width, i32 width,
                                       i32 height) {
    u64 index = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    View view = views[index / per_view];
    u32 point = points[index];
    float source_x = (float)(point % source_width), source_y = (float)(point / source_width);
    float x = source_x - view.centre_x, y = source_y - view.centre_y;
    float at_x = (float)(width - 1) * 0.5f + (x * view.inverse_x + y * view.inverse_y);
    float at_y = (float)(height - 1) * 0.5f + (y * view.inverse_x - x * view.inverse_y);
    bool shown = at_x >= -0.5f && at_x < (float)width - 0.5f && at_y >= -0.5f && at_y < (float)height - 0.5f;
    float nan = __uint_as_float(0x7fc00000u);
    out[index] = shown ? make_float4(at_x, at_y, source_x, source_y) : make_float4(nan, nan, nan, nan);
}
