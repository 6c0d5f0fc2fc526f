// Options of a benchmark program beside Google Benchmark's own, which takes the rest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace slotwise::bench {

class Arguments {
 public:
  Arguments(int argc, char** argv);

  // Takes "--name X" or "--name=X" out of the arguments; the last one counts. UserError without X.
  std::string text(const std::string& name, const std::string& otherwise);
  // The same for a whole number from 1 on, and for a list of them: "14,16,18".
  std::int64_t number(const std::string& name, std::int64_t otherwise);
  std::vector<std::int64_t> numbers(const std::string& name,
                                    const std::vector<std::int64_t>& otherwise);
  bool flag(const std::string& name);

  // What is left, for benchmark::Initialize.
  int count = 0;
  std::vector<char*> words;
};

}  // namespace slotwise::bench
