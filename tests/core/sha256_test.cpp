#include "core/sha256.h"

#include "tests/data/temporary_folder.h"

namespace slotwise::testing {
namespace {

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(Sha256().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256().add("abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256().add("a").add("").add("bc").hex(), Sha256().add("abc").hex());
  const TemporaryFolder folder;
  const std::string million(1000000, 'a');
  const char* expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
  EXPECT_EQ(Sha256().add(million).hex(), expected);
  EXPECT_EQ(sha256_of_file(folder.write("million", million)), expected);
  // Longer than one read.
  const std::string longer(3000001, 'b');
  EXPECT_EQ(sha256_of_file(folder.write("longer", longer)), Sha256().add(longer).hex());
  EXPECT_THROW(sha256_of_file(folder / "absent"), UserError);
  EXPECT_THROW(sha256_of_file(folder.path()), UserError);
  EXPECT_THROW(sha256_of_file("/proc/self/mem"), UserError) << "a read error is no end of file";
}

}  // namespace
}  // namespace slotwise::testing
