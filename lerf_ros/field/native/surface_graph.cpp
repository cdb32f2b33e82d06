// Walks on the graph of a surface, with a plain C interface for ctypes.
//
// A graph is symmetric and in compressed rows: the neighbours of point i are
// indices[starts[i]] .. indices[starts[i + 1] - 1].

#include <cstdint>
#include <vector>

extern "C" {

// Changes with the meaning of any function below; the loader refuses another number.
int lerf_surface_graph_version() { return 1; }

// Marks in `reached` (points) which of the chosen points can be reached from `start`, which is one
// of them, through chosen ones only.
void lerf_reached(const int32_t *starts, const int32_t *indices, const bool *chosen, int64_t points,
                  int64_t start, bool *reached) {
  for (int64_t i = 0; i < points; ++i) reached[i] = false;
  std::vector<int32_t> open{static_cast<int32_t>(start)};
  reached[start] = true;
  while (!open.empty()) {
    const int32_t point = open.back();
    open.pop_back();
    for (int32_t at = starts[point]; at < starts[point + 1]; ++at) {
      const int32_t next = indices[at];
      if (reached[next] || !chosen[next]) continue;
      reached[next] = true;
      open.push_back(next);
    }
  }
}

}  // extern "C"
