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
#include <vector>

// One build for every x86-64: the loop over a block is compiled for AVX2 as well, and the loader
// picks what the machine has.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LERF_CLONES __attribute__((target_clones("avx2,fma", "default")))
#else
#define LERF_CLONES
#endif

namespace {

struct Level {
  float scale;
  uint32_t resolution;
  uint32_t size;
  bool hashed;
};

constexpr int kBlock = 512;
// Numbers of a table that are moved together; a cache line holds two such pieces.
constexpr int kPiece = 8;
// Entries lie anywhere: memory is asked for so many points, or pieces, before they are read.
constexpr int kPointsAhead = 16;
constexpr size_t kPiecesAhead = 16;

// The cells of a block of points on one level: entries and weights of the eight corners, corner
// by corner, so that the compiler computes several points at once.
struct Cells {
  uint32_t entry[8][kBlock];
  float weight[8][kBlock];
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

LERF_CLONES
void find_cells(const Level &level, const float *__restrict positions, int count,
                Cells &__restrict cells) {
  const float scale = level.scale;
  const uint32_t mask = level.size - 1u, size = level.size;
  const uint32_t sy = level.hashed ? 2654435761u : level.resolution;
  const uint32_t sz = level.hashed ? 805459861u : level.resolution * level.resolution;
  uint32_t corner[3][kBlock];
  float fraction[3][kBlock];
  const float end = scale + 0.5f;
  for (int axis = 0; axis < 3; ++axis) {
    for (int i = 0; i < count; ++i) {
      // Outside the unit cube, and for NaN, a face is taken: never memory that is not ours.
      float scaled = scale * positions[3 * i + axis] + 0.5f;
      scaled = scaled > 0.5f ? scaled : 0.5f;
      scaled = scaled < end ? scaled : end;
      const int32_t low = static_cast<int32_t>(scaled);
      fraction[axis][i] = scaled - static_cast<float>(low);
      corner[axis][i] = static_cast<uint32_t>(low);
    }
  }
  for (int i = 0; i < count; ++i) {
    const float x1 = fraction[0][i], y1 = fraction[1][i], z1 = fraction[2][i];
    const float x0 = 1.0f - x1, y0 = 1.0f - y1, z0 = 1.0f - z1;
    const float a = y0 * z0, b = y1 * z0, c = y0 * z1, d = y1 * z1;
    cells.weight[0][i] = x0 * a;
    cells.weight[1][i] = x1 * a;
    cells.weight[2][i] = x0 * b;
    cells.weight[3][i] = x1 * b;
    cells.weight[4][i] = x0 * c;
    cells.weight[5][i] = x1 * c;
    cells.weight[6][i] = x0 * d;
    cells.weight[7][i] = x1 * d;
  }
  if (level.hashed) {
    for (int i = 0; i < count; ++i) {
      const uint32_t x = corner[0][i], y0 = corner[1][i] * sy, z0 = corner[2][i] * sz;
      const uint32_t y1 = y0 + sy, z1 = z0 + sz;
      const uint32_t a = y0 ^ z0, b = y1 ^ z0, c = y0 ^ z1, d = y1 ^ z1;
      cells.entry[0][i] = (x ^ a) & mask;
      cells.entry[1][i] = ((x + 1u) ^ a) & mask;
      cells.entry[2][i] = (x ^ b) & mask;
      cells.entry[3][i] = ((x + 1u) ^ b) & mask;
      cells.entry[4][i] = (x ^ c) & mask;
      cells.entry[5][i] = ((x + 1u) ^ c) & mask;
      cells.entry[6][i] = (x ^ d) & mask;
      cells.entry[7][i] = ((x + 1u) ^ d) & mask;
    }
  } else {
    for (int i = 0; i < count; ++i) {
      const uint32_t base = corner[0][i] + corner[1][i] * sy + corner[2][i] * sz;
      for (int k = 0; k < 8; ++k) {
        const uint32_t entry = base + (k & 1) + (k & 2 ? sy : 0u) + (k & 4 ? sz : 0u);
        // Beyond the far faces the index wraps, as in tiny-cuda-nn.
        cells.entry[k][i] = entry >= size ? entry - size : entry;
      }
    }
  }
}

template <int F>
void forward(const float *positions, int64_t points, const float *table, const float *scales,
             const int64_t *resolutions, const int64_t *firsts, int levels, float *out,
             int threads) {
  const int64_t blocks = (points + kBlock - 1) / kBlock;
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads)
  for (int64_t block = 0; block < blocks; ++block) {
    Cells cells;
    const int64_t first = block * kBlock;
    const int count = static_cast<int>(std::min<int64_t>(points - first, kBlock));
    for (int l = 0; l < levels; ++l) {
      const Level level = level_of(scales, resolutions, firsts, l);
      const float *entries = table + firsts[l] * F;
      find_cells(level, positions + 3 * first, count, cells);
      for (int i = 0; i < count; ++i) {
        if (i + kPointsAhead < count)
          for (int c = 0; c < 8; ++c)
            __builtin_prefetch(entries +
                               static_cast<size_t>(cells.entry[c][i + kPointsAhead]) * F);
        float sum[F] = {};
        for (int c = 0; c < 8; ++c) {
          const float *entry = entries + static_cast<size_t>(cells.entry[c][i]) * F;
          const float weight = cells.weight[c][i];
          for (int f = 0; f < F; ++f) sum[f] += weight * entry[f];
        }
        float *target = out + ((first + i) * levels + l) * F;
        for (int f = 0; f < F; ++f) target[f] = sum[f];
      }
    }
  }
}

// Adds the gradient of one level's entries to `entries`, and notes the pieces that it touches.
template <int F, bool NOTED>
void scatter(const Level &level, int l, int levels, const float *positions, int64_t points,
             const float *grad_out, float *entries, uint64_t *touched) {
  Cells cells;
  for (int64_t first = 0; first < points; first += kBlock) {
    const int count = static_cast<int>(std::min<int64_t>(points - first, kBlock));
    find_cells(level, positions + 3 * first, count, cells);
    for (int i = 0; i < count; ++i) {
      const float *source = grad_out + ((first + i) * levels + l) * F;
      for (int c = 0; c < 8; ++c) {
        const uint32_t number = cells.entry[c][i];
        float *entry = entries + static_cast<size_t>(number) * F;
        const float weight = cells.weight[c][i];
        for (int f = 0; f < F; ++f) entry[f] += weight * source[f];
        if (NOTED) {
          const uint32_t piece = number / (kPiece / F);
          touched[piece >> 6] |= uint64_t{1} << (piece & 63u);
        }
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
    scatter<F, false>(level, l, levels, positions, points, grad_out, grad_table + firsts[l] * F,
                      nullptr);
  }
}

struct Adam {
  float rate, beta1, beta2, epsilon, correction2;
};

// Adam (Kingma and Ba 2015, algorithm 1) on the entries that have a gradient; the others rest, as
// in Instant Neural Graphics Primitives. Only the named pieces are looked at. Gradients are zero
// afterwards.
LERF_CLONES
void adam_pieces(const uint32_t *pieces, size_t count, float *__restrict weight,
                 float *__restrict grad, float *__restrict first, float *__restrict second,
                 const Adam &adam) {
  const float rate = adam.rate, beta1 = adam.beta1, beta2 = adam.beta2;
  const float epsilon = adam.epsilon, correction2 = adam.correction2;
  for (size_t p = 0; p < count; ++p) {
    if (p + kPiecesAhead < count) {
      const size_t ahead = static_cast<size_t>(pieces[p + kPiecesAhead]) * kPiece;
      __builtin_prefetch(weight + ahead, 1);
      __builtin_prefetch(first + ahead, 1);
      __builtin_prefetch(second + ahead, 1);
    }
    const size_t at = static_cast<size_t>(pieces[p]) * kPiece;
    for (size_t i = at; i < at + kPiece; ++i) {
      const float g = grad[i];
      const float m = beta1 * first[i] + (1.0f - beta1) * g;
      const float v = beta2 * second[i] + (1.0f - beta2) * g * g;
      const bool used = g != 0.0f;
      const float moved = weight[i] - rate * m / (std::sqrt(v * correction2) + epsilon);
      first[i] = used ? m : first[i];
      second[i] = used ? v : second[i];
      weight[i] = used ? moved : weight[i];
      grad[i] = 0.0f;
    }
  }
}

// The gradient of one level: zero everywhere between two levels and two steps, so that only what
// was touched is ever looked at. Kept by each thread.
struct LevelGradient {
  std::vector<float> values;
  std::vector<uint64_t> touched;  // one bit a piece
  std::vector<uint32_t> pieces;

  void reserve(int64_t count) {
    const size_t size = (static_cast<size_t>(count) + kPiece - 1) / kPiece;
    if (values.size() >= size * kPiece) return;
    values.assign(size * kPiece, 0.0f);
    touched.assign((size + 63) / 64, 0);
    pieces.resize(size);
  }

  // Lists what was touched, in ascending order, and forgets it.
  size_t list(int64_t count) {
    const size_t words = (static_cast<size_t>(count) + 64 * kPiece - 1) / (64 * kPiece);
    size_t found = 0;
    for (size_t word = 0; word < words; ++word) {
      for (uint64_t bits = touched[word]; bits; bits &= bits - 1)
        pieces[found++] = static_cast<uint32_t>(64 * word + __builtin_ctzll(bits));
      touched[word] = 0;
    }
    return found;
  }
};

// Sums the gradient of each level over all batches and moves the level at once, while its gradient
// is in the cache: a gradient of the whole table never exists.
template <int F>
void learn(const float *const *positions, const int64_t *points, const float *const *grad_outs,
           int batches, const float *scales, const int64_t *resolutions, const int64_t *firsts,
           int levels, float *table, float *moments1, float *moments2, const Adam &adam,
           int threads) {
  int64_t largest = 0;
  for (int l = 0; l < levels; ++l) largest = std::max(largest, firsts[l + 1] - firsts[l]);
#pragma omp parallel num_threads(threads)
  {
    static thread_local LevelGradient gradient;
    gradient.reserve(largest * F);
#pragma omp for schedule(dynamic, 1)
    for (int reversed = 0; reversed < levels; ++reversed) {
      const int l = levels - 1 - reversed;
      const Level level = level_of(scales, resolutions, firsts, l);
      for (int b = 0; b < batches; ++b)
        scatter<F, true>(level, l, levels, positions[b], points[b], grad_outs[b],
                         gradient.values.data(), gradient.touched.data());
      const size_t found = gradient.list(static_cast<int64_t>(level.size) * F);
      const int64_t at = firsts[l] * F;
      adam_pieces(gradient.pieces.data(), found, table + at, gradient.values.data(),
                  moments1 + at, moments2 + at, adam);
    }
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
int lerf_hash_grid_version() { return 4; }

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

// One step of Adam; `step` counts from 1. The gradients of outputs come in batches.
int lerf_hash_grid_learn(const float *const *positions, const int64_t *points,
                         const float *const *grad_outs, int batches, const float *scales,
                         const int64_t *resolutions, const int64_t *firsts, int levels,
                         int features, float *table, float *moments1, float *moments2,
                         int64_t step, float rate, float beta1, float beta2, float epsilon,
                         int threads) {
  const float correction1 = 1.0f / (1.0f - static_cast<float>(std::pow(beta1, step)));
  const float correction2 = 1.0f / (1.0f - static_cast<float>(std::pow(beta2, step)));
  const Adam adam{rate * correction1, beta1, beta2, epsilon, correction2};
#define CALL(F)                                                                               \
  learn<F>(positions, points, grad_outs, batches, scales, resolutions, firsts, levels, table, \
           moments1, moments2, adam, threads)
  LERF_FOR_FEATURES(CALL)
#undef CALL
}

}  // extern "C"
