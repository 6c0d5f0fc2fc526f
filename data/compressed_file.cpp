#include "data/compressed_file.h"

#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/error.h"

namespace slotwise {
namespace {

constexpr std::size_t kChunkBytes = 1 << 17;

// The packed bytes, in chunks.
class Source {
 public:
  explicit Source(const std::filesystem::path& path)
      : path_(path), file_(std::fopen(path.c_str(), "rb"), &std::fclose), chunk_(kChunkBytes) {
    if (!file_) user_error("cannot read {}: {}", path.string(), std::strerror(errno));
    refill();
  }
  void refill() {
    errno = 0;
    position_ = 0;
    size_ = std::fread(chunk_.data(), 1, chunk_.size(), file_.get());
    if (std::ferror(file_.get())) {
      user_error("cannot read {}: {}", path_.string(), std::strerror(errno));
    }
  }
  const char* data() const { return chunk_.data() + position_; }
  std::size_t available() const { return size_ - position_; }
  void consume(std::size_t bytes) { position_ += bytes; }
  bool starts_with(std::string_view magic) const {
    return std::string_view(data(), available()).substr(0, magic.size()) == magic;
  }
  [[noreturn]] void refuse_truncated() const {
    user_error("{} is truncated: its packed data ends early; fetch or write it again",
               path_.string());
  }
  [[noreturn]] void refuse_damaged(const char* reason) const {
    user_error("{} is damaged ({}); fetch or write it again", path_.string(), reason);
  }

 private:
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::vector<char> chunk_;
  std::size_t position_ = 0;
  std::size_t size_ = 0;
};

}  // namespace

struct CompressedReader::Decoder {
  explicit Decoder(Source&& opened) : source(std::move(opened)) {}
  virtual ~Decoder() = default;
  virtual std::size_t read(char* bytes, std::size_t capacity) = 0;
  Source source;
};

namespace {

struct PlainDecoder : CompressedReader::Decoder {
  using Decoder::Decoder;
  std::size_t read(char* bytes, std::size_t capacity) override {
    if (source.available() == 0) source.refill();
    const std::size_t count = std::min(capacity, source.available());
    std::memcpy(bytes, source.data(), count);
    source.consume(count);
    return count;
  }
};

// A gzip file is one or more members, one after the other.
struct GzipDecoder : CompressedReader::Decoder {
  explicit GzipDecoder(Source&& opened) : Decoder(std::move(opened)) {
    SLOTWISE_CHECK(inflateInit2(&stream, 15 + 16) == Z_OK, "[gzip] zlib did not start");
  }
  ~GzipDecoder() override { inflateEnd(&stream); }

  std::size_t read(char* bytes, std::size_t capacity) override {
    stream.next_out = reinterpret_cast<Bytef*>(bytes);
    stream.avail_out = static_cast<uInt>(capacity);
    while (stream.avail_out == capacity) {
      if (source.available() == 0) source.refill();
      if (source.available() == 0) {
        if (inside_member) source.refuse_truncated();
        return 0;
      }
      if (!inside_member) inflateReset(&stream);
      inside_member = true;
      const std::size_t offered = source.available();
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(source.data()));
      stream.avail_in = static_cast<uInt>(offered);
      const int code = inflate(&stream, Z_NO_FLUSH);
      source.consume(offered - stream.avail_in);
      if (code == Z_STREAM_END) {
        inside_member = false;
      } else if (code != Z_OK) {
        source.refuse_damaged(stream.msg != nullptr ? stream.msg : "gzip data");
      }
    }
    return capacity - stream.avail_out;
  }

  z_stream stream{};
  bool inside_member = false;
};

struct ZstandardDecoder : CompressedReader::Decoder {
  explicit ZstandardDecoder(Source&& opened)
      : Decoder(std::move(opened)), context(ZSTD_createDCtx(), &ZSTD_freeDCtx) {}

  std::size_t read(char* bytes, std::size_t capacity) override {
    ZSTD_outBuffer out{bytes, capacity, 0};
    while (out.pos == 0) {
      if (source.available() == 0) source.refill();
      // Without new input there may still be output inside the decoder.
      const bool ended = source.available() == 0;
      if (ended && !inside_frame) return 0;
      ZSTD_inBuffer in{source.data(), source.available(), 0};
      const std::size_t left = ZSTD_decompressStream(context.get(), &out, &in);
      if (ZSTD_isError(left)) source.refuse_damaged(ZSTD_getErrorName(left));
      source.consume(in.pos);
      inside_frame = left != 0;
      if (ended && inside_frame && out.pos == 0) source.refuse_truncated();
    }
    return out.pos;
  }

  std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context;
  bool inside_frame = false;
};

std::unique_ptr<CompressedReader::Decoder> open_decoder(const std::filesystem::path& path) {
  Source source(path);
  if (source.starts_with("\x1f\x8b")) return std::make_unique<GzipDecoder>(std::move(source));
  if (source.starts_with("\x28\xb5\x2f\xfd")) {
    return std::make_unique<ZstandardDecoder>(std::move(source));
  }
  if (path.extension() == ".gz") user_error("{} does not hold gzip data", path.string());
  if (path.extension() == ".zst") user_error("{} does not hold Zstandard data", path.string());
  return std::make_unique<PlainDecoder>(std::move(source));
}

}  // namespace

CompressedReader::CompressedReader(const std::filesystem::path& path)
    : decoder_(open_decoder(path)) {}

CompressedReader::~CompressedReader() = default;

std::size_t CompressedReader::read(char* bytes, std::size_t capacity) {
  return decoder_->read(bytes, capacity);
}

void read_lines(const std::filesystem::path& path,
                const std::function<void(std::string_view text, std::int64_t line)>& line) {
  CompressedReader reader(path);
  std::vector<char> chunk(kChunkBytes);
  std::string carried;  // the beginning of a line that the last chunk cut
  std::int64_t number = 0;
  const auto emit = [&](std::string_view text) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    line(text, ++number);
  };
  while (const std::size_t count = reader.read(chunk.data(), chunk.size())) {
    std::string_view rest(chunk.data(), count);
    for (std::size_t end; (end = rest.find('\n')) != rest.npos; rest.remove_prefix(end + 1)) {
      if (carried.empty()) {
        emit(rest.substr(0, end));
      } else {
        carried += rest.substr(0, end);
        emit(carried);
        carried.clear();
      }
    }
    carried += rest;
  }
  if (!carried.empty()) emit(carried);
}

std::string read_compressed_file(const std::filesystem::path& path) {
  CompressedReader reader(path);
  std::vector<char> chunk(kChunkBytes);
  std::string text;
  while (const std::size_t count = reader.read(chunk.data(), chunk.size())) {
    text.append(chunk.data(), count);
  }
  return text;
}

}  // namespace slotwise
