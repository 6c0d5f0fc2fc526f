// A few bytes from rank 0 to all others, before there is a group: over TCP, or by a file that all
// ranks see. Throws Error when the others do not come, or rank 0 does not answer, in time. Each
// side says first which program it is and of how many ranks, so that strangers are told apart;
// there is no secret in it.
#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace slotwise {

struct RankOf {
  int rank = 0, ranks = 1;
};

// Rank 0 listens at `port` of the host that the others reach as `host`, over IPv4 or IPv6: at the
// address that this names where it is its own, else (and for "") at all; it closes the connections
// of strangers and of ranks of another start. UserError for a port outside 1 to 65535.
void share_by_tcp(const RankOf& place, const std::string& host, int port, std::span<char> bytes,
                  double timeout_seconds);

// A path that no other start uses at the same time; beside it stands PATH.rank1 and so on, and all
// are removed in the end. What an earlier start left there, killed before its end, does no harm.
// UserError for rank 0 where the file is of another kind.
void share_by_file(const RankOf& place, const std::filesystem::path& path, std::span<char> bytes,
                   double timeout_seconds);

}  // namespace slotwise
