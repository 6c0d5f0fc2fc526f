// How a few bytes reach all ranks before there is a group.
#include "core/share_bytes.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "core/error.h"
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

TEST(ShareBytes, ByTcp) {
  const auto told = shared([](const RankOf& place, std::span<char> bytes) {
    share_by_tcp(place, "127.0.0.1", free_port(), bytes, 20);
  });
  EXPECT_EQ(told, std::vector<std::string>(kRanks, "bytes"));
}

TEST(ShareBytes, ByFile) {
  const TemporaryFolder folder;
  const auto share = [&](const RankOf& place, std::span<char> bytes) {
    share_by_file(place, folder / "id", bytes, 20);
  };
  EXPECT_EQ(shared(share), std::vector<std::string>(kRanks, "bytes"));
  std::string own = "other";
  EXPECT_TRUE(contains(user_error_of([&] { share({0, kRanks}, own); }), "is there already"));
}

TEST(ShareBytes, TellsWhoDidNotCome) {
  std::string bytes = "bytes";
  const auto message = [](auto&& body) -> std::string {
    try {
      body();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const int port = free_port() + 1;
  EXPECT_TRUE(contains(message([&] {
                         share_by_tcp({0, 2}, "", port, bytes, 0.2);
                       }),
                       "rank 1 has not come"));
  EXPECT_TRUE(contains(message([&] {
                         share_by_tcp({1, 2}, "127.0.0.1", port, bytes, 0.2);
                       }),
                       "rank 0 does not answer"));
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(message([&] {
                         share_by_file({1, 2}, folder / "id", bytes, 0.2);
                       }),
                       "rank 0 has not written"));
}

}  // namespace
}  // namespace slotwise
