// Options of a benchmark program beside Google Benchmark's own, which takes the rest, and its exit
// codes, which are those of all programs (train/program.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"

namespace slotwise::bench {

// A command line that cannot be understood.
class UsageError : public UserError {
 public:
  using UserError::UserError;
};

class Arguments {
 public:
  Arguments(int argc, char** argv);

  // Takes "--name X" or "--name=X" out of the arguments; the last one counts. UsageError without X.
  std::string text(const std::string& name, const std::string& otherwise);
  // The same for a whole number from 1 on, and for a list of them: "14,16,18".
  std::int64_t number(const std::string& name, std::int64_t otherwise);
  std::vector<std::int64_t> numbers(const std::string& name,
                                    const std::vector<std::int64_t>& otherwise);
  bool flag(const std::string& name);
  // Hands what is left to Google Benchmark, whose --benchmark_out is found writable first.
  // UsageError when it does not know a word.
  void initialize_benchmark();

 private:
  int count_ = 0;
  std::vector<char*> words_;
};

// Runs the body, or prints `help`. Exit code 0; 1 after an error, in one sentence on stderr, and
// where standard output took no more; 2 after a UsageError.
int run_bench(const char* name, const char* help, int argc, char** argv,
              const std::function<void(Arguments&)>& body);

}  // namespace slotwise::bench
