// A few bytes from rank 0 to all others, before there is a group: over TCP, or by a file that all
// ranks see. Throws Error when the others do not come, or rank 0 does not answer, in time.
#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace slotwise {

struct RankOf {
  int rank = 0, ranks = 1;
};

// Rank 0 listens at `port` of the host that the others reach as `host`.
void share_by_tcp(const RankOf& place, const std::string& host, int port, std::span<char> bytes,
                  double timeout_seconds);

// A path that no earlier start has used: rank 0 writes it, and refuses one that is there.
void share_by_file(const RankOf& place, const std::filesystem::path& path, std::span<char> bytes,
                   double timeout_seconds);

}  // namespace slotwise
