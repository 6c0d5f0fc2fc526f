#include "core/share_bytes.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "core/error.h"
#include "core/files.h"

namespace slotwise {
namespace {

using Clock = std::chrono::steady_clock;

class Deadline {
 public:
  explicit Deadline(double seconds)
      : end_(Clock::now() +
             std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))) {}
  bool passed() const { return Clock::now() >= end_; }
  int milliseconds_left() const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

 private:
  Clock::time_point end_;
};

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }
  bool ready(short event, const Deadline& deadline) const {
    pollfd waiting{descriptor_, event, 0};
    return poll(&waiting, 1, deadline.milliseconds_left()) == 1;
  }
  bool send_all(const char* bytes, std::size_t count) const {
    while (count > 0) {
      const ssize_t sent = send(descriptor_, bytes, count, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes += sent;
      count -= static_cast<std::size_t>(sent);
    }
    return true;
  }
  bool receive_all(char* bytes, std::size_t count, const Deadline& deadline) const {
    while (count > 0) {
      if (!ready(POLLIN, deadline)) return false;
      const ssize_t got = recv(descriptor_, bytes, count, 0);
      if (got <= 0) return false;
      bytes += got;
      count -= static_cast<std::size_t>(got);
    }
    return true;
  }

 private:
  int descriptor_;
};

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

Addresses resolve(const char* host, int port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = host == nullptr ? AI_PASSIVE : 0;
  const int status = getaddrinfo(host, std::to_string(port).c_str(), &hints, &found);
  if (status != 0) {
    user_error("MASTER_ADDR {}: {}", host == nullptr ? "" : host, gai_strerror(status));
  }
  return {found, &freeaddrinfo};
}

// Sends to each rank that says its number; a stranger's connection is closed.
void serve(const RankOf& place, int port, std::span<const char> bytes, const Deadline& deadline) {
  const Addresses own = resolve(nullptr, port);
  const Socket listening(socket(own->ai_family, own->ai_socktype | SOCK_CLOEXEC, 0));
  const int yes = 1;
  setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listening.get(), own->ai_addr, own->ai_addrlen) != 0 ||
      listen(listening.get(), place.ranks) != 0) {
    user_error("rank 0 cannot listen at port {}: {}; give another MASTER_PORT", port,
               std::strerror(errno));
  }
  std::set<std::int32_t> missing;
  for (std::int32_t rank = 1; rank < place.ranks; ++rank) missing.insert(rank);
  while (!missing.empty()) {
    if (!listening.ready(POLLIN, deadline)) {
      fail("rank {} has not come to port {} in time: it has died or cannot reach this host",
           *missing.begin(), port);
    }
    const Socket guest(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::int32_t rank = -1;
    if (guest.get() < 0 ||
        !guest.receive_all(reinterpret_cast<char*>(&rank), sizeof rank, Deadline(5))) {
      continue;
    }
    if (missing.contains(rank) && guest.send_all(bytes.data(), bytes.size())) missing.erase(rank);
  }
}

bool ask(const RankOf& place, const addrinfo& address, std::span<char> bytes,
         const Deadline& deadline) {
  const Socket own(socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, 0));
  const std::int32_t rank = place.rank;
  return own.get() >= 0 && connect(own.get(), address.ai_addr, address.ai_addrlen) == 0 &&
         own.send_all(reinterpret_cast<const char*>(&rank), sizeof rank) &&
         own.receive_all(bytes.data(), bytes.size(), deadline);
}

}  // namespace

void share_by_tcp(const RankOf& place, const std::string& host, int port, std::span<char> bytes,
                  double timeout_seconds) {
  const Deadline deadline(timeout_seconds);
  if (place.rank == 0) {
    serve(place, port, bytes, deadline);
    return;
  }
  const Addresses root = resolve(host.c_str(), port);
  while (!ask(place, *root, bytes, deadline)) {
    if (deadline.passed()) {
      fail(
          "rank 0 does not answer at {}:{} (MASTER_ADDR, MASTER_PORT): it has died or cannot be "
          "reached",
          host, port);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void share_by_file(const RankOf& place, const std::filesystem::path& path, std::span<char> bytes,
                   double timeout_seconds) {
  if (place.rank == 0) {
    if (std::filesystem::exists(path)) {
      user_error("{} is there already, from an earlier start; delete it or name another",
                 path.string());
    }
    write_file_atomically(path, std::string(bytes.begin(), bytes.end()));
    return;
  }
  const Deadline deadline(timeout_seconds);
  while (!std::filesystem::exists(path)) {
    if (deadline.passed()) fail("rank 0 has not written {} in time", path.string());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const std::string told = read_file(path);
  SLOTWISE_CHECK(told.size() == bytes.size(), "[share] expected {} bytes in {}, got {}",
                 bytes.size(), path.string(), told.size());
  std::copy(told.begin(), told.end(), bytes.begin());
}

}  // namespace slotwise
