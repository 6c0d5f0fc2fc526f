// Errors. `Error` is a broken invariant or a failed system call; `UserError` is input a person can
// mend. A program prints what() as one sentence and exits with 1; nothing in a library calls
// exit(). Messages of ops begin with the op in brackets: "[rms_norm] expected gain [64], got [32]".
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace slotwise {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What was expected, what came, what to do: in one sentence.
class UserError : public Error {
 public:
  using Error::Error;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void user_error(fmt::format_string<Args...> format, Args&&... args) {
  throw UserError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace slotwise

#define SLOTWISE_CHECK(condition, ...)               \
  do {                                               \
    if (!(condition)) ::slotwise::fail(__VA_ARGS__); \
  } while (false)
