// What keyframes say of points in the world, with a plain C interface for ctypes.
//
// The fast twin of lerf_ros/keyframes/point_targets.py, step for step and with the same random
// numbers; the method is told there. All arrays are contiguous.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define LERF_F16C
#endif

namespace {

// Pyramids and cameras by slot; L levels a slot.
struct Tables {
  const float *poses;             // (slots, 3, 4), camera to world
  const float *focal, *centre;    // (slots, 2), pixels
  const float *size;              // (slots, 2), pixels
  const int64_t *pool;            // (slots)
  const int64_t *first, *rows, *cols;    // (slots, L)
  const float *origin, *stride;          // (slots, L, 2), pixels
  const float *tile;                     // (slots, L), pixels, ascending
  int levels;
};

struct View {
  int64_t slot;
  float u, v, px_per_m;
  bool seen;
};

View view_of(const Tables &t, const float *position, int64_t slot) {
  View view{std::max<int64_t>(slot, 0), 0.0f, 0.0f, 0.0f, false};
  const float *pose = t.poses + 12 * view.slot;
  float local[3];
  for (int axis = 0; axis < 3; ++axis) {
    float sum = 0.0f;
    for (int row = 0; row < 3; ++row)
      sum += (position[row] - pose[4 * row + 3]) * pose[4 * row + axis];
    local[axis] = sum;
  }
  const bool ahead = local[2] > 0.0f;
  const float depth_m = ahead ? local[2] : 1.0f;
  const float *focal = t.focal + 2 * view.slot, *centre = t.centre + 2 * view.slot;
  const float *size = t.size + 2 * view.slot;
  view.u = local[0] / depth_m * focal[0] + centre[0];
  view.v = local[1] / depth_m * focal[1] + centre[1];
  view.px_per_m = focal[1] / depth_m;
  view.seen = slot >= 0 && ahead && view.u >= 0.0f && view.v >= 0.0f && view.u < size[0] &&
              view.v < size[1];
  return view;
}

// Rounding up with the chance of what is behind the point is linear interpolation on average.
int64_t drawn_cell(float pixel, float origin, float stride, float draw, int64_t count) {
  const float cell = std::max((pixel - origin) / stride, 0.0f) + draw;
  return std::min(static_cast<int64_t>(cell), count - 1);
}

float float_of(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 31u, fraction = half & 1023u;
  float value;
  if (exponent == 0) {  // zero, or too small for a leading one
    value = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -value : value;
  }
  const uint32_t wide = exponent == 31u ? 255u : exponent + 112u;
  const uint32_t bits = sign | (wide << 23) | (fraction << 13);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void add_plainly(const uint16_t *halves, int from, int count, float *out) {
  for (int i = from; i < count; ++i) out[i] += float_of(halves[i]);
}

#ifdef LERF_F16C
__attribute__((target("avx,f16c"))) void add_by_eight(const uint16_t *halves, int count,
                                                      float *out) {
  int i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i *>(halves + i));
    _mm256_storeu_ps(out + i, _mm256_add_ps(_mm256_loadu_ps(out + i), _mm256_cvtph_ps(packed)));
  }
  add_plainly(halves, i, count, out);
}
#endif

// Adds a row of half precision to floats.
void add_row(const uint16_t *halves, int count, float *out) {
#ifdef LERF_F16C
  static const bool fast = __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c");
  if (fast) return add_by_eight(halves, count, out);
#endif
  add_plainly(halves, 0, count, out);
}

// Points whose tiles are found before they are read.
constexpr int64_t kBlock = 16;

void ask_for(const uint16_t *halves, int count) {
  constexpr int kLine = 32;  // halves a cache line
  for (int i = 0; i < count; i += kLine) __builtin_prefetch(halves + i);
}

}  // namespace

extern "C" {

// For tests: adds rows without and with the processor's conversion.
void lerf_add_halves(const uint16_t *halves, int count, float *plainly, float *as_used) {
  add_plainly(halves, 0, count, plainly);
  add_row(halves, count, as_used);
}

// Changes with the meaning of any function below; the loader refuses another number.
int lerf_point_targets_version() { return 2; }

// For each point a scale drawn by `share`, and the normalised mean of one tile of each of its
// `views` slots (-1 for none), drawn by `draws` (points, views, 3). `pools` are tables of
// half precision, `width` numbers a row.
void lerf_point_targets(const float *positions, const int64_t *slots, int64_t points, int views,
                        const float *share, const float *draws, const float *poses,
                        const float *focal, const float *centre, const float *size,
                        const int64_t *pool, const int64_t *first, const int64_t *rows,
                        const int64_t *cols, const float *origin, const float *stride,
                        const float *tile, int levels, const uint16_t *const *pools, int width,
                        float smallest, float largest, float *embedding, float *scale_m,
                        bool *valid, bool *seen, int threads) {
  const Tables t{poses, focal, centre, size, pool, first, rows, cols, origin, stride, tile,
                 levels};
  const int64_t blocks = (points + kBlock - 1) / kBlock;
#pragma omp parallel num_threads(threads)
  {
    std::vector<View> own(views);
    std::vector<const uint16_t *> found(static_cast<size_t>(kBlock) * views);
    int counts[kBlock];
#pragma omp for schedule(static)
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t start = block * kBlock;
      const int64_t size = std::min<int64_t>(points - start, kBlock);
      // Tiles lie anywhere: those of a few points are asked for before the first one is read.
      for (int64_t i = 0; i < size; ++i) {
        const int64_t point = start + i;
        int lead = 0;
        seen[point] = false;
        for (int v = views - 1; v >= 0; --v) {
          own[v] = view_of(t, positions + 3 * point, slots[point * views + v]);
          if (own[v].seen) lead = v, seen[point] = true;
        }
        const float *sizes = tile + own[lead].slot * levels;
        const float wanted_px = sizes[0] * std::pow(sizes[levels - 1] / sizes[0], share[point]);
        const float scale = wanted_px / own[lead].px_per_m;
        int count = 0;
        for (int v = 0; v < views; ++v) {
          const View &view = own[v];
          const float *px = tile + view.slot * levels;
          const float tile_px = scale * view.px_per_m;
          if (!view.seen || tile_px < smallest * px[0] || tile_px > largest * px[levels - 1])
            continue;
          const float *draw = draws + 3 * (point * views + v);
          const float clamped = std::min(std::max(tile_px, px[0]), px[levels - 1]);
          const int upper = std::min(
              static_cast<int>(std::lower_bound(px, px + levels, clamped) - px), levels - 1);
          const int lower = std::max(upper - 1, 0);
          const float blend = (clamped - px[lower]) / std::max(px[upper] - px[lower], 1e-6f);
          const int64_t at = view.slot * levels + (draw[0] < blend ? upper : lower);
          const int64_t col =
              drawn_cell(view.u, origin[2 * at], stride[2 * at], draw[1], cols[at]);
          const int64_t row =
              drawn_cell(view.v, origin[2 * at + 1], stride[2 * at + 1], draw[2], rows[at]);
          const uint16_t *tile_row =
              pools[pool[view.slot]] + (first[at] + row * cols[at] + col) * width;
          ask_for(tile_row, width);
          found[i * views + count++] = tile_row;
        }
        scale_m[point] = scale;
        valid[point] = count > 0;
        counts[i] = count;
      }
      for (int64_t i = 0; i < size; ++i) {
        float *out = embedding + (start + i) * width;
        std::fill(out, out + width, 0.0f);
        const int count = counts[i];
        for (int v = 0; v < count; ++v) add_row(found[i * views + v], width, out);
        float square = 0.0f;
        for (int d = 0; d < width; ++d) square += out[d] * out[d];
        const float mean_length = std::sqrt(square) / std::max(count, 1);
        const float factor = 1.0f / (std::max(count, 1) * std::max(mean_length, 1e-12f));
        for (int d = 0; d < width; ++d) out[d] *= factor;
      }
    }
  }
}

// The slots of up to `count` keyframes that saw each of the chosen points, -1 for none: those with
// the greatest `order` (points, cameras), the greatest first. `seen_by` has `cameras` rows of the
// table `slots` for each point of the surface; row -1 is the last one.
void lerf_drawn_views(const int64_t *chosen, int64_t points, const int32_t *seen_by, int cameras,
                      const int64_t *slots, int64_t rows, const float *order, int count,
                      int64_t *views) {
  std::vector<std::pair<float, int64_t>> seeing(cameras);
  for (int64_t point = 0; point < points; ++point) {
    const int32_t *row = seen_by + chosen[point] * cameras;
    int size = 0;
    for (int c = 0; c < cameras; ++c) {
      const int64_t slot = slots[row[c] < 0 ? rows - 1 : row[c]];
      if (slot >= 0) seeing[size++] = {order[point * cameras + c], slot};
    }
    const int kept = std::min(size, count);
    const auto greater = [](const auto &a, const auto &b) { return a.first > b.first; };
    std::partial_sort(seeing.begin(), seeing.begin() + kept, seeing.begin() + size, greater);
    int64_t *out = views + point * count;
    for (int v = 0; v < count; ++v) out[v] = v < kept ? seeing[v].second : -1;
  }
}

}  // extern "C"
