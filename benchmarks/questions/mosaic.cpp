// Mean field on one chunk of a mosaic, its lattices joined with those of the chunks around it.
//
// The lattice's vertices have whole coordinates that all chunks agree on, so a chunk needs of the
// others but keys and values of the vertices its own are blurred with. See mosaic.py.
#include <algorithm>
#include <memory>

// Its helpers have internal linkage, and this is the one file that needs them beside it.
#include "lattice.cpp"

namespace segtasks {

class Share {
 public:
  // shift: from this chunk's coordinates to the mosaic's.
  Share(const float* features, int d, int64_t pixels, const std::vector<Block>& blocks,
        const Kernels& kernels, float potts, const int64_t* shift)
      : d_(d),
        potts_(potts),
        shift_(shift, shift + d),
        packing_(packing_of(features, d, pixels)),
        table_(pixels / 16),
        vertex_(static_cast<int64_t>(blocks.size()) * BLOCK * (d + 1)),
        weight_(vertex_.size()) {
    if (packing_.words() > 1) throw std::length_error("chunk spans too many cells");
    low_.assign(d, INT64_MAX), high_.assign(d, INT64_MIN);
    build(features, pixels, blocks, kernels);
  }

  int corners() const { return d_ + 1; }
  int64_t own() const { return own_; }  // with vertex 0, which is none
  int64_t all() const { return table_.end(); }

  void keys(int32_t* out) const {
    for (int64_t v = 1; v < own_; v++)
      for (int i = 0; i < d_; i++)
        *out++ = static_cast<int32_t>(coordinates_[(v - 1) * d_ + i] + shift_[i]);
  }

  // Take in another chunk's vertices; those too far to matter become none.
  void join(const int32_t* keys, int64_t count) {
    maps_.emplace_back(count);
    std::vector<int64_t> at(d_);
    for (int64_t v = 0; v < count; v++) {
      for (int i = 0; i < d_; i++) at[i] = *keys++ - shift_[i];
      maps_.back()[v] = is_near(at.data()) ? table_.find_or_add(packed(at.data())) : 0;
    }
  }

  void link_all() {
    next_ = Buffer<uint32_t>(all() * corners());
    link(table_, packing_, d_, next_.data());
  }

  void clear(int64_t width) {
    values_ = Buffer<float>::zeros(all() * width);
    spare_ = Buffer<float>(all() * width);
  }

  // Add a chunk's partial values; source -1 is this chunk, else the number of its join.
  void gather(int source, const float* from, int64_t width) {
    const int64_t count = source < 0 ? own_ - 1 : maps_[source].size();
    for (int64_t i = 0; i < count; i++, from += width) {
      const int64_t to = source < 0 ? i + 1 : maps_[source][i];
      if (to)
        for (int64_t c = 0; c < width; c++) values_[to * width + c] += from[c];
    }
  }

  void blur(const Kernels& kernels, int64_t width) {
    for (int axis = 0; axis <= d_; axis++, values_.swap(spare_)) {
      const uint32_t* next = next_.data() + axis * all();
      if (width == 1)
        blur_chains(next, all(), 1, values_.data(), spare_.data());
      else
        kernels.blur(next, all(), kernels.row, values_.data(), spare_.data());
    }
  }

  void ones(float* out) const {
    std::fill(out, out + own_ - 1, 0.0f);
    for (int64_t i = 0; i < vertex_.size(); i++)
      if (vertex_[i]) out[vertex_[i] - 1] += weight_[i];
  }

  // As Lattice::normalise, after the ones of all chunks were gathered and blurred.
  void normalise() {
    const float root = std::sqrt(potts_);
    for (int64_t i = 0; i < vertex_.size(); i += corners()) {
      float sum = 0;
      for (int64_t j = i; j < i + corners(); j++) sum += weight_[j] * values_[vertex_[j]];
      const float scale = sum > 0 ? root / std::sqrt(sum) : 0;
      for (int64_t j = i; j < i + corners(); j++) weight_[j] *= scale;
    }
  }

  void slice(const Kernels& kernels, int64_t block, float* energy) {
    const int64_t at = block * corners() * BLOCK;
    kernels.slice(corners())(vertex_.data() + at, weight_.data() + at, corners(), values_.data(),
                             kernels.row, energy);
  }

  void begin(const Kernels& kernels) { partial_ = Buffer<float>::zeros(own_ * kernels.row); }

  void splat(const Kernels& kernels, int64_t block, const float* q) {
    const int64_t at = block * corners() * BLOCK;
    kernels.splat(corners())(vertex_.data() + at, weight_.data() + at, corners(), q, kernels.row,
                             partial_.data());
  }

  // What was splatted, without vertex 0; between passes nothing else of the values is kept.
  void end(const Kernels& kernels, float* out) {
    std::memcpy(out, partial_.data() + kernels.row,
                static_cast<size_t>((own_ - 1) * kernels.row) * sizeof(float));
    partial_ = Buffer<float>(), values_ = Buffer<float>(), spare_ = Buffer<float>();
  }

  int64_t bytes() const {
    return 8 * vertex_.size() + 4 * next_.size() + 16 * all() + 4 * d_ * own_;
  }

 private:
  static KeyPacking packing_of(const float* features, int d, int64_t pixels) {
    constexpr float room = 4.9f;  // twice the blur's reach, std: see is_near
    std::vector<float> bounds(2 * d);
    for (int i = 0; i < d; i++) {
      const auto [low, high] =
          std::minmax_element(features + i * pixels, features + (i + 1) * pixels);
      bounds[2 * i] = *low - room, bounds[2 * i + 1] = *high + room;
    }
    return KeyPacking(bounds.data(), d, 2);
  }

  Key<1> packed(const int64_t* at) const {
    Key<1> key = {};
    for (int i = 0; i < d_; i++) packing_.add(i, at[i], &key);
    return key;
  }

  // j (j + 1) times coordinate j of the vertex among the features.
  int64_t place(const int64_t* at, int j) const {
    int64_t before = 0, all = 0;
    for (int i = 0; i < j; i++) before += at[i];
    for (int i = 0; i < d_; i++) all += at[i];
    return before - j * (j < d_ ? at[j] : -all);
  }

  // Whether blurring can bring this vertex's value to one of the chunk's own: along feature j an
  // axis moves a vertex by d + 1 (j of them) or j (d + 1) (one) in units of `place`.
  bool is_near(const int64_t* at) const {
    for (int j = 1; j <= d_; j++) {
      const int64_t here = place(at, j), reach = 2 * int64_t{j} * (d_ + 1);
      if (here < low_[j - 1] - reach || here > high_[j - 1] + reach) return false;
    }
    return true;
  }

  void build(const float* features, int64_t pixels, const std::vector<Block>& blocks,
             const Kernels& kernels) {
    const auto simplex = kernels.simplex(d_);
    BlockFeatures block_features(features, d_, pixels);
    BlockKeys<1> keys(packing_, d_);
    auto simplices = std::make_unique<Simplices>();
    uint32_t* vertex = vertex_.data();
    float* weight = weight_.data();
    for (const Block& block : blocks) {
      simplex(block_features.of(block), d_, packing_.scale(), *simplices);
      keys.find(*simplices);
      const int count = BLOCK * corners();
      for (int i = 0; i < count; i++) table_.prefetch(keys.key[i]);
      for (int i = 0; i < count; i++) {
        const int64_t end = table_.end();
        *vertex++ = table_.find_or_add(keys.key[i]);
        if (table_.end() > end) note(*simplices, i / corners(), i % corners());
      }
      for (int i = 0; i < count; i++)
        *weight++ = i < block.count * corners() ? simplices->weight[i] : 0.0f;
    }
    own_ = table_.end();
  }

  void note(const Simplices& simplices, int pixel, int colour) {
    const uint8_t* order = simplices.order + pixel * corners();
    int64_t at[MOST_CORNERS];
    for (int i = 0; i <= d_; i++) at[i] = simplices.origin[i][pixel] + colour;
    for (int k = 0; k < colour; k++) at[order[k]] -= d_ + 1;
    for (int i = 0; i < d_; i++) coordinates_.push_back(static_cast<int32_t>(at[i]));
    for (int j = 1; j <= d_; j++) {
      const int64_t here = place(at, j);
      low_[j - 1] = std::min(low_[j - 1], here), high_[j - 1] = std::max(high_[j - 1], here);
    }
  }

  int d_;
  float potts_;
  std::vector<int64_t> shift_;
  KeyPacking packing_;
  VertexTable<1> table_;
  Buffer<uint32_t> vertex_;
  Buffer<float> weight_;
  int64_t own_ = 0;
  std::vector<int32_t> coordinates_;
  std::vector<int64_t> low_, high_;  // own vertices among the features, see place
  std::vector<Buffer<uint32_t>> maps_;
  Buffer<uint32_t> next_;
  Buffer<float> values_, spare_, partial_;
};

struct Chunk {
  Chunk(int64_t pixels, int classes, const float* x, const float* y)
      : pixels(pixels),
        classes(classes),
        kernels(kernels_for(classes, false)),
        blocks(ordered_blocks(pixels, x, y)),
        energy(int64_t{BLOCK} * kernels.row),
        whole(int64_t{BLOCK} * kernels.row) {}

  void pass(const float* unary, bool sliced, float* marginals) {
    if (!marginals)
      for (auto& share : shares) share->begin(kernels);
    for (size_t b = 0; b < blocks.size(); b++) {
      const auto block = static_cast<int64_t>(b);
      load(unary, blocks[b]);
      if (sliced)
        for (auto& share : shares) share->slice(kernels, block, energy.data());
      kernels.softmax(kernels.row, energy.data());
      if (marginals)
        store(marginals, blocks[b]);
      else
        for (auto& share : shares) share->splat(kernels, block, energy.data());
    }
  }

  // As in field.cpp.
  void load(const float* unary, const Block& block) {
    for (int k = 0; k < classes; k++)
      for (int p = 0; p < BLOCK; p++)
        whole[k * BLOCK + p] = p < block.count ? unary[k * pixels + block.first + p] : 0.0f;
    kernels.load(whole.data(), BLOCK, classes, kernels.row, energy.data());
  }

  void store(float* marginals, const Block& block) {
    kernels.store(energy.data(), kernels.row, classes, BLOCK, whole.data());
    for (int k = 0; k < classes; k++)
      for (int p = 0; p < block.count; p++)
        marginals[k * pixels + block.first + p] = whole[k * BLOCK + p];
  }

  int64_t pixels;
  int classes;
  Kernels kernels;
  std::vector<Block> blocks;
  std::vector<std::unique_ptr<Share>> shares;
  Buffer<float> energy, whole;
};

}  // namespace segtasks

using segtasks::Chunk;
using segtasks::Share;

extern "C" {

Chunk* chunk_new(int64_t pixels, int classes, const float* x, const float* y) {
  return new Chunk(pixels, classes, x, y);
}
void chunk_free(Chunk* chunk) { delete chunk; }
int chunk_row(Chunk* chunk) { return chunk->kernels.row; }
void chunk_add(Chunk* chunk, const float* features, int d, float potts, const int64_t* shift) {
  chunk->shares.push_back(std::make_unique<Share>(features, d, chunk->pixels, chunk->blocks,
                                                  chunk->kernels, potts, shift));
}
int64_t chunk_vertices(Chunk* chunk, int term) { return chunk->shares[term]->own() - 1; }
int64_t chunk_joined(Chunk* chunk, int term) { return chunk->shares[term]->all() - 1; }
int64_t chunk_bytes(Chunk* chunk, int term) { return chunk->shares[term]->bytes(); }
void chunk_keys(Chunk* chunk, int term, int32_t* out) { chunk->shares[term]->keys(out); }
void chunk_join(Chunk* chunk, int term, const int32_t* keys, int64_t count) {
  chunk->shares[term]->join(keys, count);
}
void chunk_link(Chunk* chunk, int term) { chunk->shares[term]->link_all(); }
void chunk_ones(Chunk* chunk, int term, float* out) { chunk->shares[term]->ones(out); }
void chunk_clear(Chunk* chunk, int term, int width) { chunk->shares[term]->clear(width); }
void chunk_gather(Chunk* chunk, int term, int source, const float* values, int width) {
  chunk->shares[term]->gather(source, values, width);
}
void chunk_blur(Chunk* chunk, int term, int width) {
  chunk->shares[term]->blur(chunk->kernels, width);
}
void chunk_normalise(Chunk* chunk, int term) { chunk->shares[term]->normalise(); }
void chunk_pass(Chunk* chunk, const float* unary, int sliced, float* marginals) {
  chunk->pass(unary, sliced != 0, marginals);
}
void chunk_partial(Chunk* chunk, int term, float* out) {
  chunk->shares[term]->end(chunk->kernels, out);
}
}
