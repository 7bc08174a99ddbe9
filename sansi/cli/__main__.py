from sansi.cli.app import main

main()
