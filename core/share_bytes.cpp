// Bytes over TCP: the others connect to rank 0 and say who they are.
#include "core/share_bytes.h"

#include <netdb.h>
#include <netinet/in.h>
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

// Empty, with getaddrinfo's status, where there is none.
std::pair<Addresses, int> addresses_of(const char* host, int port, int family, int flags) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  const int status = getaddrinfo(host, std::to_string(port).c_str(), &hints, &found);
  return {Addresses(status == 0 ? found : nullptr, &freeaddrinfo), status};
}

constexpr int kSocketFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;

// A socket that listens at the address; none where that is not this host's, or of a family that
// this host does not have.
std::unique_ptr<Socket> listen_at(const addrinfo& address, int port, int ranks) {
  auto out =
      std::make_unique<Socket>(socket(address.ai_family, address.ai_socktype | kSocketFlags, 0));
  if (out->get() < 0) return nullptr;
  const int yes = 1, no = 0;
  setsockopt(out->get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (address.ai_family == AF_INET6) {  // of all IPv6 addresses: those of IPv4, too
    setsockopt(out->get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  }
  if (bind(out->get(), address.ai_addr, address.ai_addrlen) == 0 &&
      listen(out->get(), ranks) == 0) {
    return out;
  }
  if (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT) return nullptr;
  user_error("rank 0 cannot listen at port {}: {}; give another MASTER_PORT", port,
             std::strerror(errno));
}

// At `host` where it is an address of this host or "localhost", else at all of its addresses.
std::unique_ptr<Socket> listening_socket(const std::string& host, int port, int ranks) {
  // By a name other hosts may mean another of this one's addresses.
  const bool one_address =
      host == "localhost" ||
      (!host.empty() && addresses_of(host.c_str(), port, AF_UNSPEC, AI_NUMERICHOST).second == 0);
  if (one_address) {
    const auto named = addresses_of(host.c_str(), port, AF_UNSPEC, 0);
    for (const addrinfo* each = named.first.get(); each != nullptr; each = each->ai_next) {
      if (auto out = listen_at(*each, port, ranks)) return out;
    }
  }
  for (const int family : {AF_INET6, AF_INET}) {
    const auto all = addresses_of(nullptr, port, family, AI_PASSIVE);
    if (all.first == nullptr) continue;
    if (auto out = listen_at(*all.first, port, ranks)) return out;
  }
  user_error("rank 0 finds no network address of this host to listen at");
}

// Sends to each rank of this start that says its number; a stranger's connection is closed.
void serve(const RankOf& place, const std::string& host, int port, std::span<const char> bytes,
           const Deadline& deadline) {
  const std::unique_ptr<Socket> own = listening_socket(host, port, place.ranks);
  const Socket& listening = *own;
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

// At each address that the name has.
bool ask_any(const RankOf& place, const addrinfo& first, std::span<char> bytes,
             const Deadline& deadline) {
  for (const addrinfo* each = &first; each != nullptr; each = each->ai_next) {
    if (ask(place, *each, bytes, deadline)) return true;
  }
  return false;
}

}  // namespace

void share_by_tcp(const RankOf& place, const std::string& host, int port, std::span<char> bytes,
                  double timeout_seconds) {
  if (port < 1 || port > 65535) {
    user_error("MASTER_PORT must lead to a port from 1 to 65535, got {}; give another", port);
  }
  const Deadline deadline(timeout_seconds);
  if (place.rank == 0) {
    serve(place, host, port, bytes, deadline);
    return;
  }
  const auto [root, status] = addresses_of(host.c_str(), port, AF_UNSPEC, 0);
  if (status != 0) user_error("MASTER_ADDR {}: {}", host, gai_strerror(status));
  while (!ask_any(place, *root, bytes, deadline)) {
    if (deadline.passed()) {
      fail(
          "rank 0 does not answer at {}:{} (MASTER_ADDR, MASTER_PORT): it has died, cannot be "
          "reached or was started with another number of ranks than {}",
          host.find(':') == host.npos ? host : "[" + host + "]", port, place.ranks);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace slotwise
