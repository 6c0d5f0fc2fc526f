// Runs the programs that were built beside the test binary, as a person would: new processes, exit
// codes, text on stdout and stderr.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace slotwise::testing {

using Words = std::vector<std::string>;

struct Finished {
  int code = -1;  // 128 + n where signal n ended it
  std::string out, error;
};

// A program under way, on `threads` threads. Killed by the destructor when nobody waited for it.
class RunningProgram {
 public:
  RunningProgram(const std::string& program, const Words& arguments, int threads = 1);
  explicit RunningProgram(Words command, int threads = 1);  // of any program, found by PATH
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;
  void interrupt() const;  // SIGTERM
  bool ended();
  Finished wait();

 private:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
  void take_status(int status);

  File out_, error_;
  int process_ = -1;
  int code_ = -1;
};

// `program` without its "slotwise-".
Finished run_program(const std::string& program, const Words& arguments, int threads = 1);
// Fails the test when it does not exit with 0.
Finished run_well(const std::string& program, const Words& arguments, int threads = 1);

// Any program: mpirun, env.
Finished run_command(const Words& command, int threads = 1);

std::filesystem::path program_path(const std::string& program);
Words operator+(Words words, const Words& more);

}  // namespace slotwise::testing
