// streams WAY SOURCE DESTINATION: copies as C++ programs do.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    std::string way = argv[1];
    if (way == "copy_file")
        return !std::filesystem::copy_file(argv[2], argv[3]);
    std::ifstream from(argv[2], std::ios::binary);
    std::ofstream to(argv[3], std::ios::binary);
    if (way == "rdbuf") {
        to << from.rdbuf();
    } else if (way == "iterators") {
        std::copy(std::istreambuf_iterator<char>(from), {}, std::ostreambuf_iterator<char>(to));
    } else {
        std::vector<char> buffer(1 << 20);
        while (from.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), from.gcount() > 0)
            to.write(buffer.data(), from.gcount());
    }
    return !to.flush();
}
