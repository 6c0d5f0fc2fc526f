// Starts mpirun with N copies of this program on this host and waits for it. What the ranks print
// is passed on, mpirun's own banners are not: of a rank that a signal ended, one sentence tells.
#pragma once

#include <string>
#include <vector>

namespace slotwise {

// Returns the exit code. An interrupt of this process is passed on to the ranks as SIGUSR1.
int launch_ranks(const char* name, int ranks, int argc, char** argv);

// "mpirun" and its options for ranks on this host; the number of ranks and the program follow.
std::vector<std::string> mpirun_words();

// Whether a person watches standard output. A rank writes to mpirun, whatever that passes it on to.
bool writes_to_terminal();

}  // namespace slotwise
