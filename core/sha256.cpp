#include "core/sha256.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "core/error.h"

namespace slotwise {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  SLOTWISE_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1,
                 "[sha256] OpenSSL offers no SHA-256");
}

Sha256::~Sha256() = default;

Sha256& Sha256::add(const void* bytes, std::size_t count) {
  SLOTWISE_CHECK(EVP_DigestUpdate(state_->context, bytes, count) == 1, "[sha256] update failed");
  return *this;
}

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  SLOTWISE_CHECK(EVP_DigestFinal_ex(state_->context, digest, &length) == 1,
                 "[sha256] final step failed");
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256_of_file(const std::filesystem::path& path) {
  // A folder opens without complaint and only fails when it is read.
  if (std::filesystem::is_directory(path))
    user_error("cannot read {}: it is a folder", path.string());
  std::ifstream file(path, std::ios::binary);
  if (!file) user_error("cannot read {}: {}", path.string(), std::strerror(errno));
  Sha256 hash;
  std::vector<char> buffer(1 << 20);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hash.add(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) user_error("cannot read {}: {}", path.string(), std::strerror(errno));
  return hash.hex();
}

}  // namespace slotwise
