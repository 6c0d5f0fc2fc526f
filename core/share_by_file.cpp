// Bytes by a file that all ranks see. What an earlier start left there is told apart by numbers
// that each rank draws anew, not by clocks, which hosts may not share: a rank asks with its number
// in a file of its own, PATH.rank1, and takes an answer only if that number stands in it. Taken is
// told by removing the question, and with the last one rank 0 removes the answer.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "core/share_bytes.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMagic = 0x32656c6966776c73;  // "slwfile2"
constexpr std::chrono::milliseconds kPause(50);

// Opens a question and the answer; behind that of an answer stand the numbers of ranks 1, 2, ...
// and the bytes.
struct Head {
  std::uint64_t magic = kMagic;
  std::int64_t ranks = 0;
};
struct Question {
  Head head;
  std::uint64_t number = 0;
};
static_assert(sizeof(Question) == 24, "travels as it lies in memory");

template <class T>
std::string text_of(const T& record) {
  return {reinterpret_cast<const char*>(&record), sizeof record};
}

// Nothing where there is no such file, also where it goes while it is read.
std::optional<std::string> text_in(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  try {
    return read_file(path);
  } catch (const Error&) {
    if (fs::exists(path, error)) throw;
    return std::nullopt;
  }
}

std::optional<Head> head_of(const std::string& text) {
  Head head;
  if (text.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, text.data(), sizeof head);
  return head.magic == kMagic ? std::optional(head) : std::nullopt;
}

fs::path question_path(const fs::path& path, int rank) {
  return path.string() + ".rank" + std::to_string(rank);
}

// Gone at the end, whatever that is.
class OwnFile {
 public:
  explicit OwnFile(fs::path path) : path_(std::move(path)) {}
  ~OwnFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  OwnFile(const OwnFile&) = delete;
  OwnFile& operator=(const OwnFile&) = delete;

 private:
  fs::path path_;
};

// A rank whose question was answered and is gone has taken the answer. One that an earlier start
// left stays until its rank puts a new one in its place.
void answer_all(const RankOf& place, const fs::path& path, std::span<const char> bytes,
                Clock::time_point end) {
  const std::optional<std::string> there = text_in(path);
  if (there && !head_of(*there)) {
    user_error("{} is there already and none of this program's files; name another", path.string());
  }
  fs::remove(path);
  const OwnFile own(path);
  std::vector<std::uint64_t> numbers(static_cast<std::size_t>(place.ranks - 1));
  std::vector<bool> asked(numbers.size()), taken(numbers.size());
  while (std::find(taken.begin(), taken.end(), false) != taken.end()) {
    bool more = false;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (taken[i]) continue;
      const auto text = text_in(question_path(path, static_cast<int>(i) + 1));
      Question question;
      if (!text) {
        taken[i] = asked[i];
        continue;
      }
      const std::optional<Head> head = head_of(*text);
      if (!head || text->size() != sizeof question || head->ranks != place.ranks) continue;
      std::memcpy(&question, text->data(), sizeof question);
      if (asked[i] && numbers[i] == question.number) continue;
      numbers[i] = question.number;
      asked[i] = more = true;
    }
    if (more) {
      std::string answer = text_of(Head{kMagic, place.ranks});
      for (const std::uint64_t number : numbers) answer += text_of(number);
      write_file_atomically(path, answer.append(bytes.data(), bytes.size()));
    } else if (Clock::now() >= end) {
      const auto missing = std::find(taken.begin(), taken.end(), false) - taken.begin() + 1;
      fail("rank {} has not come to {} in time: it has died or does not see this file", missing,
           path.string());
    }
    std::this_thread::sleep_for(kPause);
  }
}

// Whether the text answers this question; then `bytes` hold what rank 0 tells.
bool take(const std::string& text, const RankOf& place, std::uint64_t number,
          std::span<char> bytes) {
  const std::size_t numbers = sizeof(Head), told = numbers + 8 * (place.ranks - 1ul);
  const std::optional<Head> head = head_of(text);
  if (!head || head->ranks != place.ranks || text.size() != told + bytes.size()) return false;
  std::uint64_t answered = 0;
  std::memcpy(&answered, text.data() + numbers + 8 * (place.rank - 1ul), sizeof answered);
  if (answered == number) std::memcpy(bytes.data(), text.data() + told, bytes.size());
  return answered == number;
}

void ask(const RankOf& place, const fs::path& path, std::span<char> bytes, Clock::time_point end) {
  std::random_device random;
  const std::uint64_t number = (std::uint64_t{random()} << 32) | random();
  const fs::path asking = question_path(path, place.rank);
  const OwnFile own(asking);
  write_file_atomically(asking, text_of(Question{{kMagic, place.ranks}, number}));
  while (true) {
    const std::optional<std::string> text = text_in(path);
    if (text && take(*text, place, number, bytes)) return;
    if (Clock::now() >= end) {
      const auto head = text ? head_of(*text) : std::nullopt;
      fail("rank 0 has not answered by {} in time{}", path.string(),
           head && head->ranks != place.ranks
               ? fmt::format(": what is there is from a start with {} ranks and this one has {}; "
                             "give all ranks the same WORLD_SIZE",
                             head->ranks, place.ranks)
               : "");
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

void share_by_file(const RankOf& place, const std::filesystem::path& path, std::span<char> bytes,
                   double timeout_seconds) {
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(timeout_seconds));
  place.rank == 0 ? answer_all(place, path, bytes, end) : ask(place, path, bytes, end);
}

}  // namespace slotwise
