#include "core/share_bytes.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <set>
#include <thread>

#include "core/error.h"
#include "core/files.h"

namespace slotwise {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kMagic = 0x31776c73;  // "slw1"
// A guest speaks at once: one that does not keeps the others waiting for no longer than this.
constexpr double kGreetingSeconds = 1.0;
// An attempt that a firewall swallows is made anew after this time.
constexpr double kConnectSeconds = 5.0;

// Opens all that ranks tell each other: who speaks, and of which start.
struct Greeting {
  std::uint32_t magic = kMagic;
  std::int32_t ranks = 0, rank = 0;
  bool of_start_with(int expected) const { return magic == kMagic && ranks == expected; }
};
static_assert(sizeof(Greeting) == 12, "travels as it lies in memory");

// What rank 0 tells.
std::string told_by_root(const RankOf& place, std::span<const char> bytes) {
  const Greeting greeting{kMagic, place.ranks, 0};
  std::string out(reinterpret_cast<const char*>(&greeting), sizeof greeting);
  return out.append(bytes.data(), bytes.size());
}

class Deadline {
 public:
  explicit Deadline(double seconds) : Deadline(Clock::time_point::max(), seconds) {}
  Deadline within(double seconds) const { return {end_, seconds}; }
  bool passed() const { return Clock::now() >= end_; }
  int milliseconds_left() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now()).count();
    constexpr std::int64_t kMost = std::numeric_limits<int>::max();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, kMost));
  }

 private:
  Deadline(Clock::time_point latest, double seconds)
      : end_(std::min(latest, Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                 std::chrono::duration<double>(seconds)))) {}

  Clock::time_point end_;
};

// Of a descriptor that never blocks: what has to wait does so in poll(), against the deadline.
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
    int found = 0;
    do {
      found = poll(&waiting, 1, deadline.milliseconds_left());
    } while (found < 0 && errno == EINTR);
    return found == 1;
  }
  // An interrupted connect() goes on by itself, as one in progress does.
  bool reaches(const addrinfo& address, const Deadline& deadline) const {
    if (connect(descriptor_, address.ai_addr, address.ai_addrlen) == 0) return true;
    if ((errno != EINPROGRESS && errno != EINTR) || !ready(POLLOUT, deadline)) return false;
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }
  bool send_all(const char* bytes, std::size_t count, const Deadline& deadline) const {
    return move_all(POLLOUT, bytes, count, deadline, [this](const char* from, std::size_t left) {
      return send(descriptor_, from, left, MSG_NOSIGNAL);
    });
  }
  bool receive_all(char* bytes, std::size_t count, const Deadline& deadline) const {
    return move_all(POLLIN, bytes, count, deadline,
                    [this](char* to, std::size_t left) { return recv(descriptor_, to, left, 0); });
  }

 private:
  template <class Byte, class Move>
  bool move_all(short event, Byte* bytes, std::size_t count, const Deadline& deadline,
                Move&& move) const {
    while (count > 0) {
      if (!ready(event, deadline)) return false;
      const ssize_t moved = move(bytes, count);
      if (moved < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (moved <= 0) return false;
      bytes += moved;
      count -= static_cast<std::size_t>(moved);
    }
    return true;
  }

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

void listen_at(const Socket& listening, const addrinfo& own, int port, int ranks) {
  const int yes = 1;
  setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listening.get(), own.ai_addr, own.ai_addrlen) != 0 ||
      listen(listening.get(), ranks) != 0) {
    user_error("rank 0 cannot listen at port {}: {}; give another MASTER_PORT", port,
               std::strerror(errno));
  }
}

constexpr int kSocketFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;

// Sends to each rank of this start that says its number; a stranger's connection is closed.
void serve(const RankOf& place, int port, std::span<const char> bytes, const Deadline& deadline) {
  const Addresses own = resolve(nullptr, port);
  const Socket listening(socket(own->ai_family, own->ai_socktype | kSocketFlags, 0));
  listen_at(listening, *own, port, place.ranks);
  const std::string told = told_by_root(place, bytes);
  std::set<std::int32_t> missing;
  for (std::int32_t rank = 1; rank < place.ranks; ++rank) missing.insert(rank);
  while (!missing.empty()) {
    if (deadline.passed() || !listening.ready(POLLIN, deadline)) {
      fail("rank {} has not come to port {} in time: it has died or cannot reach this host",
           *missing.begin(), port);
    }
    const Socket guest(accept4(listening.get(), nullptr, nullptr, kSocketFlags));
    if (guest.get() < 0) {  // gone already, or for the moment the system has no descriptor
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    const Deadline soon = deadline.within(kGreetingSeconds);
    Greeting greeting;
    if (guest.receive_all(reinterpret_cast<char*>(&greeting), sizeof greeting, soon) &&
        greeting.of_start_with(place.ranks) && missing.contains(greeting.rank) &&
        guest.send_all(told.data(), told.size(), soon)) {
      missing.erase(greeting.rank);
    }
  }
}

// The answer opens with a greeting, too: another program may listen there, and a connection within
// a host can even meet itself.
bool ask(const RankOf& place, const addrinfo& address, std::span<char> bytes,
         const Deadline& deadline) {
  const Socket own(socket(address.ai_family, address.ai_socktype | kSocketFlags, 0));
  const Greeting greeting{kMagic, place.ranks, place.rank};
  Greeting answer;
  return own.get() >= 0 && own.reaches(address, deadline.within(kConnectSeconds)) &&
         own.send_all(reinterpret_cast<const char*>(&greeting), sizeof greeting, deadline) &&
         own.receive_all(reinterpret_cast<char*>(&answer), sizeof answer, deadline) &&
         answer.of_start_with(place.ranks) && answer.rank == 0 &&
         own.receive_all(bytes.data(), bytes.size(), deadline);
}

// Copies what rank 0 of this start has written; the file may be anybody's.
void take_from(const std::filesystem::path& path, const RankOf& place, std::span<char> bytes) {
  const std::string told = read_file(path);
  Greeting greeting{0, 0, 0};
  if (told.size() == sizeof greeting + bytes.size()) {
    std::memcpy(&greeting, told.data(), sizeof greeting);
  }
  if (greeting.magic != kMagic) {
    user_error(
        "expected in {} the {} bytes that rank 0 writes, got {} bytes of something else; delete it "
        "or name another file",
        path.string(), sizeof greeting + bytes.size(), told.size());
  }
  if (!greeting.of_start_with(place.ranks)) {
    user_error(
        "{} is from a start with {} ranks and this one has {}; delete it or name another file, and "
        "give all ranks the same WORLD_SIZE",
        path.string(), greeting.ranks, place.ranks);
  }
  std::copy(told.begin() + sizeof greeting, told.end(), bytes.begin());
}

}  // namespace

void share_by_tcp(const RankOf& place, const std::string& host, int port, std::span<char> bytes,
                  double timeout_seconds) {
  if (port < 1 || port > 65535) {
    user_error("MASTER_PORT must lead to a port from 1 to 65535, got {}; give another", port);
  }
  const Deadline deadline(timeout_seconds);
  if (place.rank == 0) {
    serve(place, port, bytes, deadline);
    return;
  }
  const Addresses root = resolve(host.c_str(), port);
  while (!ask(place, *root, bytes, deadline)) {
    if (deadline.passed()) {
      fail(
          "rank 0 does not answer at {}:{} (MASTER_ADDR, MASTER_PORT): it has died, cannot be "
          "reached or was started with another number of ranks than {}",
          host, port, place.ranks);
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
    write_file_atomically(path, told_by_root(place, bytes));
    return;
  }
  const Deadline deadline(timeout_seconds);
  while (!std::filesystem::exists(path)) {
    if (deadline.passed()) fail("rank 0 has not written {} in time", path.string());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  take_from(path, place, bytes);
}

}  // namespace slotwise
