// How a few bytes reach all ranks before there is a group.
#include "core/share_bytes.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <future>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

constexpr int kRanks = 3;

// What each rank ends up with.
template <class Share>
std::vector<std::string> shared(Share&& share) {
  std::vector<std::string> told(kRanks, std::string(5, '-'));
  told[0] = "bytes";
  std::vector<std::thread> threads;
  for (int rank = kRanks - 1; rank >= 0; --rank) {
    threads.emplace_back([&, rank] { share(RankOf{rank, kRanks}, std::span<char>(told[rank])); });
  }
  for (std::thread& thread : threads) thread.join();
  return told;
}

int free_port() {
  return 20000 + static_cast<int>(::getpid()) % 20000;
}

template <class Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool has_ipv6() {
  const int descriptor = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 loopback{};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = in6addr_loopback;
  const bool has = descriptor >= 0 &&
                   ::bind(descriptor, reinterpret_cast<sockaddr*>(&loopback), sizeof loopback) == 0;
  if (descriptor >= 0) ::close(descriptor);
  return has;
}

// A plain socket of this host, of a program that knows nothing of the exchange.
class Stranger {
 public:
  explicit Stranger(int port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(static_cast<std::uint16_t>(port));
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  ~Stranger() { ::close(descriptor_); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  int get() const { return descriptor_; }
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }
  bool connects() const { return ::connect(descriptor_, address(), sizeof address_) == 0; }

 private:
  sockaddr_in address_{};
  int descriptor_;
};

void connect_soon(const Stranger& stranger) {
  for (int tries = 0; !stranger.connects(); ++tries) {
    ASSERT_LT(tries, 1000) << "nobody listens";
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

class ShareByTcp : public ::testing::TestWithParam<const char*> {};

TEST_P(ShareByTcp, ReachesAll) {
  if (std::string(GetParam()) == "::1" && !has_ipv6()) {
    GTEST_SKIP() << "this machine has no ::1";
  }
  const auto told = shared([](const RankOf& place, std::span<char> bytes) {
    share_by_tcp(place, GetParam(), free_port(), bytes, 20);
  });
  EXPECT_EQ(told, std::vector<std::string>(kRanks, "bytes"));
}

INSTANTIATE_TEST_SUITE_P(Hosts, ShareByTcp, ::testing::Values("127.0.0.1", "::1", "localhost"));

// Whether rank 0, which knows itself as `host`, is found at 127.0.0.1.
bool listens_at_loopback(const std::string& host, int port) {
  std::string told = "bytes", heard(5, '-');
  auto root = std::async(std::launch::async, [&] {
    return message_of([&] { share_by_tcp({0, 2}, host, port, told, 2); });
  });
  const auto ask = [&] { share_by_tcp({1, 2}, "127.0.0.1", port, heard, 1); };
  const bool found = message_of(ask).empty();
  EXPECT_EQ(root.get().empty(), found);
  EXPECT_EQ(heard == "bytes", found);
  return found;
}

// 127.0.0.2 is another address of the same host; 192.0.2.1 is nobody's (RFC 5737).
TEST(ShareBytes, TheRootListensAtTheAddressThatIsNamedIfItIsItsOwn) {
  EXPECT_FALSE(listens_at_loopback("127.0.0.2", free_port() + 4));
  EXPECT_TRUE(listens_at_loopback("192.0.2.1", free_port() + 5));
  EXPECT_TRUE(listens_at_loopback("", free_port() + 6));
}

TEST(ShareBytes, ByFile) {
  const TemporaryFolder folder;
  const auto share = [&](const RankOf& place, std::span<char> bytes) {
    share_by_file(place, folder / "id", bytes, 20);
  };
  for (int start = 0; start < 2; ++start) {
    EXPECT_EQ(shared(share), std::vector<std::string>(kRanks, "bytes"));
    EXPECT_EQ(folder.files(), 0);
  }
  std::string own = "other";
  folder.write("id", "a person's own text");
  EXPECT_TRUE(contains(user_error_of([&] { share({0, kRanks}, own); }), "name another"));
  EXPECT_EQ(read_file(folder / "id"), "a person's own text");
}

// A file of the exchange: for so many ranks, with these numbers.
std::string record(std::int64_t ranks, const std::vector<std::uint64_t>& numbers) {
  std::string out = "slwfile2";
  out.append(reinterpret_cast<const char*>(&ranks), sizeof ranks);
  out.append(reinterpret_cast<const char*>(numbers.data()), 8 * numbers.size());
  return out;
}

// As starts leave them that are killed: with the same number of ranks, and another.
TEST(ShareBytes, ByAFileThatEarlierStartsLeft) {
  for (const int ranks : {kRanks, kRanks + 1}) {
    const TemporaryFolder folder;
    const std::vector<std::uint64_t> numbers(static_cast<std::size_t>(ranks - 1), 7);
    folder.write("id", record(ranks, numbers) + "stale");
    folder.write("id.rank1", record(ranks, {7}));
    folder.write("id.rank2", "cut");
    const auto told = shared([&](const RankOf& place, std::span<char> bytes) {
      if (place.rank == 0) std::this_thread::sleep_for(std::chrono::milliseconds(200));
      share_by_file(place, folder / "id", bytes, 20);
    });
    EXPECT_EQ(told, std::vector<std::string>(kRanks, "bytes"));
    EXPECT_EQ(folder.files(), 0);
  }
}

TEST(ShareBytes, AnOldQuestionIsNotTakenForTheRankThatComesLater) {
  const TemporaryFolder folder;
  const auto path = folder / "id";
  folder.write("id.rank1", record(2, {7}));
  std::string told = "bytes", heard(5, '-');
  auto root = std::async(std::launch::async, [&] {
    return message_of([&] { share_by_file({0, 2}, path, told, 20); });
  });
  while (!std::filesystem::exists(path)) std::this_thread::yield();  // it has answered the old one
  EXPECT_EQ(message_of([&] { share_by_file({1, 2}, path, heard, 20); }), "");
  EXPECT_EQ(root.get(), "");
  EXPECT_EQ(heard, "bytes");
}

TEST(ShareBytes, AFileOfAnotherNumberOfRanksIsTold) {
  const TemporaryFolder folder;
  folder.write("id", record(3, {7, 7}) + "stale");
  std::string bytes = "bytes";
  const auto ask = [&] { share_by_file({1, 2}, folder / "id", bytes, 0.2); };
  EXPECT_TRUE(contains(message_of(ask), "from a start with 3 ranks and this one has 2"));
  EXPECT_EQ(folder.files(), 1);
}

// One is mute, one says what would be rank 1 without a magic, one is of a start with more ranks.
TEST(ShareBytes, StrangersDoNotStopTheExchange) {
  const int port = free_port() + 2;
  std::string told = "bytes", heard(5, '-'), other(5, '-');
  auto root = std::async(std::launch::async, [&] { share_by_tcp({0, 2}, "", port, told, 20); });
  const Stranger mute(port), wrong(port);
  connect_soon(mute);
  connect_soon(wrong);
  const std::array<std::int32_t, 3> words{1, 1, 1};
  ASSERT_EQ(::send(wrong.get(), words.data(), sizeof words, MSG_NOSIGNAL), sizeof words);
  auto elsewhere = std::async(std::launch::async, [&] {
    return message_of([&] { share_by_tcp({1, 3}, "127.0.0.1", port, other, 2); });
  });
  // Less than any patience with the mute one that would be too long.
  EXPECT_EQ(message_of([&] { share_by_tcp({1, 2}, "127.0.0.1", port, heard, 4); }), "");
  EXPECT_EQ(heard, "bytes");
  EXPECT_EQ(message_of([&] { root.get(); }), "");
  char answer = 0;
  EXPECT_LE(::recv(wrong.get(), &answer, 1, 0), 0);
  EXPECT_TRUE(contains(elsewhere.get(), "another number of ranks than 3"));
  EXPECT_EQ(other, "-----");
}

// A full queue of connections swallows what comes, as a firewall does.
TEST(ShareBytes, AHostThatDropsDoesNotOutlastTheTimeout) {
  const int port = free_port() + 3;
  const Stranger full(port), first(port);
  const int yes = 1;
  ::setsockopt(full.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  ASSERT_EQ(::bind(full.get(), full.address(), sizeof(sockaddr_in)), 0);
  ASSERT_EQ(::listen(full.get(), 0), 0);
  ASSERT_TRUE(first.connects());
  std::string bytes = "bytes";
  const auto start = std::chrono::steady_clock::now();
  const auto ask = [&] { share_by_tcp({1, 2}, "127.0.0.1", port, bytes, 0.5); };
  EXPECT_TRUE(contains(message_of(ask), "rank 0 does not answer"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(ShareBytes, RefusesWhatIsNoPort) {
  std::string bytes = "bytes";
  for (const int port : {-1, 0, 65536}) {
    EXPECT_TRUE(contains(user_error_of([&] {
                           share_by_tcp({1, 2}, "localhost", port, bytes, 1);
                         }),
                         fmt::format("from 1 to 65535, got {}", port)));
  }
}

TEST(ShareBytes, TellsWhoDidNotCome) {
  std::string bytes = "bytes";
  const int port = free_port() + 1;
  EXPECT_TRUE(contains(message_of([&] {
                         share_by_tcp({0, 2}, "", port, bytes, 0.2);
                       }),
                       "rank 1 has not come"));
  EXPECT_TRUE(contains(message_of([&] {
                         share_by_tcp({1, 2}, "127.0.0.1", port, bytes, 0.2);
                       }),
                       "rank 0 does not answer"));
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(message_of([&] {
                         share_by_file({1, 2}, folder / "id", bytes, 0.2);
                       }),
                       "rank 0 has not answered"));
  EXPECT_TRUE(contains(message_of([&] {
                         share_by_file({0, 2}, folder / "id", bytes, 0.2);
                       }),
                       "rank 1 has not come"));
  EXPECT_EQ(folder.files(), 0);
}

}  // namespace
}  // namespace slotwise
