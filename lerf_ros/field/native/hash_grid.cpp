// Multiresolution hash grid on the CPU, with a plain C interface for ctypes.
//
// Conventions: positions are (points, 3) in [0, 1]; outputs are (points, levels * features); the
// table is (entries, features), level after level. Each level has a scale s, a resolution r and
// the entries first .. first + size - 1. A position p is looked up at s * p + 0.5 (Mueller et
// al. 2022, Instant Neural Graphics Primitives, section 3, in the layout of tiny-cuda-nn, so that
// tables can be exchanged with it). All arrays are contiguous float32.
//
// The forward pass runs over blocks of points, the backward pass of the table over levels: no
// two threads write to one entry, and sums are taken in the same order on every run.

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace {

struct Level {
  float scale;
  uint32_t resolution;
  uint32_t size;
  bool hashed;
};

// The eight corners of a cell: entries, weights along each axis.
struct Cell {
  uint32_t entry[8];
  float fraction[3];
};

Level level_of(const float *scales, const int64_t *resolutions, const int64_t *firsts, int l) {
  Level level;
  level.scale = scales[l];
  level.resolution = static_cast<uint32_t>(resolutions[l]);
  level.size = static_cast<uint32_t>(firsts[l + 1] - firsts[l]);
  const double cells = static_cast<double>(level.resolution) * level.resolution *
                       level.resolution;
  level.hashed = cells > static_cast<double>(level.size);
  return level;
}

inline void find_cell(const Level &level, const float *position, Cell &cell) {
  uint32_t corner[3];
  for (int axis = 0; axis < 3; ++axis) {
    const float scaled = level.scale * position[axis] + 0.5f;
    const float low = std::floor(scaled);
    cell.fraction[axis] = scaled - low;
    corner[axis] = static_cast<uint32_t>(static_cast<int32_t>(low));
  }
  if (level.hashed) {
    const uint32_t y0 = corner[1] * 2654435761u, y1 = y0 + 2654435761u;
    const uint32_t z0 = corner[2] * 805459861u, z1 = z0 + 805459861u;
    const uint32_t yz[4] = {y0 ^ z0, y1 ^ z0, y0 ^ z1, y1 ^ z1};
    for (int i = 0; i < 4; ++i) {
      // A hashed level always holds a power of two of entries.
      cell.entry[2 * i] = (corner[0] ^ yz[i]) & (level.size - 1u);
      cell.entry[2 * i + 1] = ((corner[0] + 1u) ^ yz[i]) & (level.size - 1u);
    }
  } else {
    const uint32_t r = level.resolution, rr = r * r;
    const uint32_t base = corner[0] + corner[1] * r + corner[2] * rr;
    const uint32_t yz[4] = {0u, r, rr, r + rr};
    for (int i = 0; i < 4; ++i) {
      cell.entry[2 * i] = base + yz[i];
      cell.entry[2 * i + 1] = base + yz[i] + 1u;
    }
    // Beyond the far faces the index wraps, as in tiny-cuda-nn.
    if (base + r + rr + 1u >= level.size) {
      for (int c = 0; c < 8; ++c) cell.entry[c] %= level.size;
    }
  }
}

inline void corner_weights(const Cell &cell, float *weight) {
  const float x1 = cell.fraction[0], y1 = cell.fraction[1], z1 = cell.fraction[2];
  const float x0 = 1.0f - x1, y0 = 1.0f - y1, z0 = 1.0f - z1;
  const float yz[4] = {y0 * z0, y1 * z0, y0 * z1, y1 * z1};
  for (int i = 0; i < 4; ++i) {
    weight[2 * i] = x0 * yz[i];
    weight[2 * i + 1] = x1 * yz[i];
  }
}


template <int F>
void forward(const float *positions, int64_t points, const float *table, const float *scales,
             const int64_t *resolutions, const int64_t *firsts, int levels, float *out,
             int threads) {
  constexpr int64_t kBlock = 2048;
  const int64_t blocks = (points + kBlock - 1) / kBlock;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = block * kBlock, last = std::min(points, first + kBlock);
    for (int l = 0; l < levels; ++l) {
      const Level level = level_of(scales, resolutions, firsts, l);
      const float *entries = table + firsts[l] * F;
      for (int64_t i = first; i < last; ++i) {
        Cell cell;
        float weight[8], sum[F] = {};
        find_cell(level, positions + 3 * i, cell);
        corner_weights(cell, weight);
        for (int c = 0; c < 8; ++c) {
          const float *entry = entries + static_cast<int64_t>(cell.entry[c]) * F;
          for (int f = 0; f < F; ++f) sum[f] += weight[c] * entry[f];
        }
        float *target = out + (i * levels + l) * F;
        for (int f = 0; f < F; ++f) target[f] = sum[f];
      }
    }
  }
}

template <int F>
void backward_table(const float *positions, int64_t points, const float *grad_out,
                    const float *scales, const int64_t *resolutions, const int64_t *firsts,
                    int levels, float *grad_table, int threads) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int reversed = 0; reversed < levels; ++reversed) {
    const int l = levels - 1 - reversed;  // the fine, slow levels first: better balance
    const Level level = level_of(scales, resolutions, firsts, l);
    float *entries = grad_table + firsts[l] * F;
    for (int64_t i = 0; i < points; ++i) {
      Cell cell;
      float weight[8];
      const float *source = grad_out + (i * levels + l) * F;
      bool zero = true;
      for (int f = 0; f < F; ++f) zero = zero && source[f] == 0.0f;
      if (zero) continue;
      find_cell(level, positions + 3 * i, cell);
      corner_weights(cell, weight);
      for (int c = 0; c < 8; ++c) {
        float *entry = entries + static_cast<int64_t>(cell.entry[c]) * F;
        for (int f = 0; f < F; ++f) entry[f] += weight[c] * source[f];
      }
    }
  }
}

template <int F>
void backward_positions(const float *positions, int64_t points, const float *table,
                        const float *grad_out, const float *scales, const int64_t *resolutions,
                        const int64_t *firsts, int levels, float *grad_positions, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < points; ++i) {
    float total[3] = {};
    for (int l = 0; l < levels; ++l) {
      const Level level = level_of(scales, resolutions, firsts, l);
      const float *entries = table + firsts[l] * F;
      const float *source = grad_out + (i * levels + l) * F;
      Cell cell;
      find_cell(level, positions + 3 * i, cell);
      float value[8];  // inner product of each corner's entry with the gradient
      for (int c = 0; c < 8; ++c) {
        const float *entry = entries + static_cast<int64_t>(cell.entry[c]) * F;
        value[c] = 0.0f;
        for (int f = 0; f < F; ++f) value[c] += entry[f] * source[f];
      }
      const float *t = cell.fraction;
      for (int axis = 0; axis < 3; ++axis) {
        const int a = (axis + 1) % 3, b = (axis + 2) % 3;
        for (int ca = 0; ca < 2; ++ca) {
          for (int cb = 0; cb < 2; ++cb) {
            const int low = (ca << a) | (cb << b);
            const float weight = (ca ? t[a] : 1.0f - t[a]) * (cb ? t[b] : 1.0f - t[b]);
            total[axis] += level.scale * weight * (value[low | (1 << axis)] - value[low]);
          }
        }
      }
    }
    for (int axis = 0; axis < 3; ++axis) grad_positions[3 * i + axis] = total[axis];
  }
}

}  // namespace

#define LERF_FOR_FEATURES(call) \
  switch (features) {           \
    case 1: call(1); return 0;  \
    case 2: call(2); return 0;  \
    case 4: call(4); return 0;  \
    case 8: call(8); return 0;  \
    default: return 1;          \
  }

extern "C" {

// Changes with the meaning of any function below; the loader refuses another number.
int lerf_hash_grid_version() { return 1; }

// Each returns 0, or 1 where `features` is none of 1, 2, 4, 8.
int lerf_hash_grid_forward(const float *positions, int64_t points, const float *table,
                           const float *scales, const int64_t *resolutions,
                           const int64_t *firsts, int levels, int features, float *out,
                           int threads) {
#define CALL(F) \
  forward<F>(positions, points, table, scales, resolutions, firsts, levels, out, threads)
  LERF_FOR_FEATURES(CALL)
#undef CALL
}

// Adds to `grad_table`.
int lerf_hash_grid_backward_table(const float *positions, int64_t points, const float *grad_out,
                                  const float *scales, const int64_t *resolutions,
                                  const int64_t *firsts, int levels, int features,
                                  float *grad_table, int threads) {
#define CALL(F)                                                                               \
  backward_table<F>(positions, points, grad_out, scales, resolutions, firsts, levels,         \
                    grad_table, threads)
  LERF_FOR_FEATURES(CALL)
#undef CALL
}

// Overwrites `grad_positions`.
int lerf_hash_grid_backward_positions(const float *positions, int64_t points,
                                      const float *table, const float *grad_out,
                                      const float *scales, const int64_t *resolutions,
                                      const int64_t *firsts, int levels, int features,
                                      float *grad_positions, int threads) {
#define CALL(F)                                                                               \
  backward_positions<F>(positions, points, table, grad_out, scales, resolutions, firsts,      \
                        levels, grad_positions, threads)
  LERF_FOR_FEATURES(CALL)
#undef CALL
}

}  // extern "C"
