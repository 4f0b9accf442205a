"""The package as a newcomer gets it: the wheel, its installs, the commands of the README."""
